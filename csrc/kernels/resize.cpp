// Images in another size, channels in lanes: the nearest pixel, or a mixture of the four around.
#include "../ops/resize.hpp"
#include "kernel.hpp"
#include "vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr Index kPlaces = 256;  // columns whose places are kept at a time

// Where a row or a column of the output lies in the input: behind `low` by a share of the way to `high`.
struct Place {
    Index low, high;
    double share;
};

BP_INLINE double last_of(Index size) { return size > 0 ? double(size - 1) : 0; }

// Place i of `out` in `size`. Numbers that no conversion could hold, as of a forged scale, end at the first place.
BP_INLINE Place place_of(Index i, Index size, Index out, bool linear, bool align_corners, double scale) {
    double at = 0;
    if (linear && align_corners)
        at = out > 1 ? double(i) * (last_of(size) / double(out - 1)) : 0;
    else if (linear)
        at = (double(i) + 0.5) * (scale == 0 ? double(size) / double(out) : 1 / scale) - 0.5;
    else
        at = scale == 0 ? double(i) * double(size) / double(out) : double(i) / scale;
    const double last = last_of(size);
    at = at > 0 ? (at < last ? at : last) : 0;
    const Index low = Index(at);
    return {low, low + 1 < size ? low + 1 : low, linear ? at - double(low) : 0};
}

// f(r, begin, n, columns) for each row and stretch of n columns: the places of these are found once for many rows.
template <class F>
BP_INLINE void each_column(const Resizing& op, Range rows, Index size, Index out, F f) {
    for (Index begin = 0; begin < out; begin += kPlaces) {
        const Index n = out - begin < kPlaces ? out - begin : kPlaces;
        Place columns[kPlaces];
        for (Index q = 0; q < n; ++q)
            columns[q] = place_of(begin + q, size, out, op.linear, op.align_corners, op.scale_w);
        for (Index r = rows.begin; r < rows.end; ++r) f(r, begin, n, columns);
    }
}

// y = x at the place that a pixel has in x
template <class T>
void resize_forward(const ResizeForward<T>& op, Range range, Scratch) {
    const Index height = op.x.shape[1], width_in = op.x.shape[2], channels = op.x.shape[3];
    const Index out_height = op.y.shape[1], out_width = op.y.shape[2];
    const Range rows = covered(range, op.rows_per_task(), op.y.shape[0] * out_height);
    if (height == 0 || width_in == 0) {  // nothing to look at
        each_vector<T>({rows.begin * out_width * channels, rows.end * out_width * channels},
                       [&](Index i, int n) BP_INLINED { store_some(op.y.data + i, vec<T>{}, n); });
        return;
    }
    each_column(
        op, rows, width_in, out_width, [&](Index r, Index begin, Index n, const Place* columns) BP_INLINED {
            const Place row =
                place_of(r % out_height, height, out_height, op.linear, op.align_corners, op.scale_h);
            const T* top = op.x.data + (r / out_height * height + row.low) * width_in * channels;
            const T* bottom = op.x.data + (r / out_height * height + row.high) * width_in * channels;
            const T down = T(row.share);
            for (Index q = 0; q < n; ++q) {
                const Place column = columns[q];
                const Index left = column.low * channels, right = column.high * channels;
                const T across = T(column.share);
                T* y = op.y.data + (r * out_width + begin + q) * channels;
                each_vector<T>(channels, [&](Index c, int lanes) BP_INLINED {
                    const auto at = [&](const T* p) BP_INLINED { return load_some(p + c, lanes); };
                    if (!op.linear) return store_some(y + c, at(top + left), lanes);
                    const vec<T> above = at(top + left) * (1 - across) + at(top + right) * across;
                    const vec<T> below = at(bottom + left) * (1 - across) + at(bottom + right) * across;
                    store_some(y + c, above * (1 - down) + below * down, lanes);
                });
            }
        });
}

// dx = the sum of dy where a pixel has a share, times that share
template <class T>
void resize_backward(const ResizeBackward<T>& op, Range range, Scratch) {
    const Index height = op.dx.shape[1], width_in = op.dx.shape[2], channels = op.dx.shape[3];
    const Index out_height = op.dy.shape[1], out_width = op.dy.shape[2], size = height * width_in * channels;
    each_vector<T>({range.begin * size, range.end * size},
                   [&](Index i, int n) BP_INLINED { store_some(op.dx.data + i, vec<T>{}, n); });
    const Range rows{range.begin * out_height, range.end * out_height};
    each_column(op, rows, width_in, out_width,
                [&](Index r, Index begin, Index n, const Place* columns) BP_INLINED {
                    const Place row =
                        place_of(r % out_height, height, out_height, op.linear, op.align_corners, op.scale_h);
                    T* top = op.dx.data + (r / out_height * height + row.low) * width_in * channels;
                    T* bottom = op.dx.data + (r / out_height * height + row.high) * width_in * channels;
                    const T down = T(row.share);
                    for (Index q = 0; q < n; ++q) {
                        const Place column = columns[q];
                        const Index left = column.low * channels, right = column.high * channels;
                        const T across = T(column.share);
                        const T* dy = op.dy.data + (r * out_width + begin + q) * channels;
                        each_vector<T>(channels, [&](Index c, int lanes) BP_INLINED {
                            const vec<T> d = load_some(dy + c, lanes);
                            const auto add = [&](T* p, vec<T> part) BP_INLINED {
                                store_some(p + c, load_some(p + c, lanes) + part, lanes);
                            };
                            if (!op.linear) return add(top + left, d);
                            const vec<T> above = d * (1 - down), below = d * down;
                            add(top + left, above * (1 - across));
                            add(top + right, above * across);
                            add(bottom + left, below * (1 - across));
                            add(bottom + right, below * across);
                        });
                    }
                });
}

}  // namespace

BACKPASS_KERNEL(ResizeForward, resize_forward)
BACKPASS_KERNEL(ResizeBackward, resize_backward)

}  // namespace backpass::BACKPASS_ISA
