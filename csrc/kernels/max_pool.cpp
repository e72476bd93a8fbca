// Maximum pooling of images (B, H, W, C), channels in lanes.
#include "../ops/max_pool.hpp"
#include "formulas.hpp"
#include "kernel.hpp"
#include "matmul/activate.hpp"
#include "pool.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// y = the maximum of a window; with `Noted` index = its place, the first one. NaN counts as the largest.
template <bool Noted, class Op, class T>
BP_INLINE void maxima(const Op& op, Range rows, const T* x, T* y) {
    const Index row = Op::Number::row(op.window, op.x.shape[2]);
    each_window<0>(
        op, op.x, op.y, rows,
        [&](const auto& taps, const Span& down, const Span& across, Index out) BP_INLINED {
            const Index start = taps.none() ? 0 : Op::Number::of(down, across, row);
            each_channel_group<T>(Range{0, op.x.shape[3]}, [&](auto vectors, Index c, int n) BP_INLINED {
                constexpr int K = decltype(vectors)::count, w = width<T>;
                using Int = lane<ivec<T>>;
                vec<T> best[K];
                ivec<T> place[K];
                for (int k = 0; k < K; ++k)
                    best[k] = broadcast<T>(-T(__builtin_inf())), place[k] = broadcast<Int>(Int(start));
                taps.each([&](Index i, Index j, Index at) BP_INLINED {
                    const ivec<T> number = broadcast<Int>(Int(start + i * row + j));
                    for (int k = 0; k < K; ++k) {
                        const vec<T> v = load_some(x + at + c + k * w, n);
                        if constexpr (Noted) {
                            const ivec<T> larger = ~(v <= best[k]) & (best[k] == best[k]);
                            best[k] = select(larger, v, best[k]);
                            place[k] = larger ? number : place[k];
                        } else {
                            best[k] = select(v == v, max(v, best[k]), v);
                        }
                    }
                });
                for (int k = 0; k < K; ++k) {
                    store_some(y + out + c + k * w, best[k], n);
                    if constexpr (Noted) store_numbers<T>(op.index.data + out + c + k * w, place[k], n);
                }
            });
        });
}

template <class T, class Window, class Place>
void max_pool_forward(const MaxPoolingForward<T, Window, Place>& op, Range range, Scratch) {
    const Range rows = covered(range, op.rows_per_task(), op.y.shape[0] * op.y.shape[1]);
    if (op.index)
        maxima<true>(op, rows, op.x.data, op.y.data);
    else
        maxima<false>(op, rows, op.x.data, op.y.data);
}

// dx = dy f'(z) at the maximum, else 0, added up where windows overlap.
template <bool Apart, class Op, class T>
BP_INLINE void spread(const Op& op, Range rows, const T* dy, T* dx) {
    const Index row = Op::Number::row(op.window, op.dx.shape[2]);
    const T *stored = op.slope.data, alpha = T(op.alpha);
    const bool by_y = !stored && op.activation != Activation::identity;
    each_window<0>(
        op, op.dx, op.dy, rows,
        [&](const auto& taps, const Span& down, const Span& across, Index out) BP_INLINED {
            const Index start = Op::Number::of(down, across, row);
            each_channel_group<T>(Range{0, op.dx.shape[3]}, [&](auto vectors, Index c, int n) BP_INLINED {
                constexpr int K = decltype(vectors)::count, w = width<T>;
                using Int = lane<ivec<T>>;
                const Index to = out + c;
                vec<T> flowing[K];
                ivec<T> place[K];
                T scaled[K * w];
                const bool by_formula = by_y && op.activation != Activation::relu;
                if (by_formula)
                    multiply_slope(op.activation, op.y.data + to, static_cast<const T*>(nullptr), dy + to,
                                   scaled, Index(K > 1 ? K * w : n), alpha);
                for (int k = 0; k < K; ++k) {
                    place[k] = load_numbers<T>(op.index.data + to + k * w, n);
                    flowing[k] = load_some(by_formula ? scaled + k * w : dy + to + k * w, n);
                    if (by_y && !by_formula)
                        flowing[k] *= slope<Activation::relu>(load_some(op.y.data + to + k * w, n), alpha);
                }
                taps.each([&](Index i, Index j, Index at) BP_INLINED {
                    const ivec<T> number = broadcast<Int>(Int(start + i * row + j));
                    for (int k = 0; k < K; ++k) {
                        T* const p = dx + at + c + k * w;
                        vec<T> d = select(place[k] == number, flowing[k], broadcast<T>(0));
                        if (stored) d *= load_some(stored + at + c + k * w, n);
                        if constexpr (!Apart) d += load_some(p, n);
                        store_some(p, d, n);
                    }
                });
            });
        });
}

template <class T, class Window, class Place>
void max_pool_backward(const MaxPoolingBackward<T, Window, Place>& op, Range range, Scratch) {
    const bool apart = op.down().apart() && op.across().apart();
    const auto [begin, end] = begun_images(op, range, apart);
    const Range rows{begin * op.dy.shape[1], end * op.dy.shape[1]};
    if (apart)
        spread<true>(op, rows, op.dy.data, op.dx.data);
    else
        spread<false>(op, rows, op.dy.data, op.dx.data);
}

}  // namespace

BACKPASS_KERNEL(MaxPool2dForward, max_pool_forward)
BACKPASS_KERNEL(MaxPool2dBackward, max_pool_backward)
BACKPASS_KERNEL(AdaptiveMaxPool2dForward, max_pool_forward)
BACKPASS_KERNEL(AdaptiveMaxPool2dBackward, max_pool_backward)

}  // namespace backpass::BACKPASS_ISA
