// Loops of pooling over images (B, H, W, C): over windows, over the taps of one, over its channels in lanes.
#pragma once
#include "../ops/pool_window.hpp"
#include "channels.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// The taps of a window within the image: rows x cols of them, from element `first` of the array on. Known: how many of both, where
// the compiler is to know that, else 0.
template <Index Known>
struct Taps {
    Index first, row_step, step, counted_rows, counted_cols;

    BP_INLINE Taps(Index image, const Span& down, const Span& across, Index width, Index channels)
        : first(image + (down.begin() * width + across.begin()) * channels),
          row_step(down.dilation * width * channels),
          step(across.dilation * channels),
          counted_rows(down.count()),
          counted_cols(across.count()) {}
    BP_INLINE Index rows() const { return Known ? Known : counted_rows; }
    BP_INLINE Index cols() const { return Known ? Known : counted_cols; }
    BP_INLINE bool none() const { return rows() == 0 || cols() == 0; }
    // f(i, j, at) for each, in row-major order: the channels of tap (i, j) begin at element `at`.
    template <class F>
    BP_INLINE void each(F f) const {
        for (Index i = 0; i < rows(); ++i)
            for (Index j = 0; j < cols(); ++j) f(i, j, first + i * row_step + j * step);
    }
};

// f(taps, down, across, out) for each window of rows [begin, end) of (B, P): its output begins at element `out`.
// Known: whole windows of that many rows and columns of taps come in a loop of their own, where what belongs to them all is computed
// once; 0: none. Sums of 2 x 2 take half the time so, maxima gain nothing.
template <Index Known, class Op, class X, class Y, class F>
BP_INLINE void each_window(const Op& op, const X& x, const Y& y, Range rows, F f) {
    const auto down = op.down();
    const auto across = op.across();
    const Index width = x.shape[2], channels = x.shape[3], image = x.shape[1] * width * channels;
    const Index places = y.shape[1], places_across = y.shape[2];
    for (Index r = rows.begin; r < rows.end; ++r) {
        const Span v = down.at(r % places);
        const Index from = r / places * image, to = r * places_across;
        for (Index q = 0; q < places_across; ++q) {
            Span h = across.at(q);
            if constexpr (Known > 0) {
                const auto [begin, end] = across.whole();
                if (q == begin && q < end && v.count() == Known && h.count() == Known) {
                    for (; q < end; ++q, h.origin += across.stride)
                        f(Taps<Known>(from, v, h, width, channels), v, h, (to + q) * channels);
                    if (q == places_across) break;
                    h = across.at(q);
                }
            }
            f(Taps<0>(from, v, h, width, channels), v, h, (to + q) * channels);
        }
    }
}

// The images of the tasks of a backward op; what is in no window, or in several, is zero from here on.
template <class Op>
BP_INLINE Range begun_images(const Op& op, Range tasks, bool apart) {
    const Range images = covered(tasks, op.per_task(), op.dx.shape[0]);
    const Index size = op.dx.shape[1] * op.dx.shape[2] * op.dx.shape[3];
    if (!apart || !op.down().covers() || !op.across().covers())
        __builtin_memset(op.dx.data + images.begin * size, 0,
                         sizeof(*op.dx.data) * std::uint64_t((images.end - images.begin) * size));
    return images;
}

// Lanes of integers in a narrower type, the first n of them.
template <class T, class I>
using Narrow = typename Vector<I, int(sizeof(I)) * width<T>>::type;
template <class T, class I>
BP_INLINE void store_numbers(I* p, ivec<T> v, int n) {
    const auto narrow = __builtin_convertvector(v, Narrow<T, I>);
    if (n == width<T>)
        __builtin_memcpy(p, &narrow, sizeof narrow);
    else
        for (int k = 0; k < n; ++k) p[k] = narrow[k];
}
template <class T, class I>
BP_INLINE ivec<T> load_numbers(const I* p, int n) {
    Narrow<T, I> narrow{};
    if (n == width<T>)
        __builtin_memcpy(&narrow, p, sizeof narrow);
    else
        for (int k = 0; k < n; ++k) narrow[k] = p[k];
    return __builtin_convertvector(narrow, ivec<T>);
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
