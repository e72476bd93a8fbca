// Average pooling of images (B, H, W, C), channels in lanes.
#include "../ops/avg_pool.hpp"
#include "kernel.hpp"
#include "matmul/activate.hpp"
#include "pool.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// y = Σ x / divisor over a window: its rows in parts, for accuracy.
template <class T, class Window>
void avg_pool_forward(const AvgPoolingForward<T, Window>& op, Range range, Scratch) {
    const Range rows = covered(range, op.rows_per_task(), op.y.shape[0] * op.y.shape[1]);
    const T* const x = op.x.data;
    T* const y = op.y.data;
    each_window<2>(
        op, op.x, op.y, rows,
        [&](const auto& taps, const Span& down, const Span& across, Index out) BP_INLINED {
            const T scale = T(1 / op.window.divisor(down, across));
            each_channel_group<T>(Range{0, op.x.shape[3]}, [&](auto vectors, Index c, int n) BP_INLINED {
                constexpr int K = decltype(vectors)::count, w = width<T>;
                vec<T> total[K] = {};
                for (Index i = 0; i < taps.rows(); ++i) {
                    const T* const from = x + taps.first + i * taps.row_step + c;
                    sum_rows<T>(taps.cols(), kRowsOfSum, total, [&](Index j, vec<T>(&part)[K]) BP_INLINED {
                        for (int k = 0; k < K; ++k) part[k] += load_some(from + j * taps.step + k * w, n);
                    });
                }
                for (int k = 0; k < K; ++k) store_some(y + out + c + k * w, total[k] * scale, n);
            });
        });
}

// dx = dy / divisor everywhere in a window, added up where windows overlap.
template <bool Apart, class Op, class T>
BP_INLINE void spread(const Op& op, Range rows, const T* dy, T* dx) {
    each_window<2>(op, op.dx, op.dy, rows,
                   [&](const auto& taps, const Span& down, const Span& across, Index out) BP_INLINED {
                       const T scale = T(1 / op.window.divisor(down, across));
                       each_channel_group<T>(
                           Range{0, op.dx.shape[3]}, [&](auto vectors, Index c, int n) BP_INLINED {
                               constexpr int K = decltype(vectors)::count, w = width<T>;
                               vec<T> share[K];
                               for (int k = 0; k < K; ++k)
                                   share[k] = load_some(dy + out + c + k * w, n) * scale;
                               taps.each([&](Index, Index, Index at) BP_INLINED {
                                   for (int k = 0; k < K; ++k) {
                                       T* const p = dx + at + c + k * w;
                                       store_some(p, Apart ? share[k] : share[k] + load_some(p, n), n);
                                   }
                               });
                           });
                   });
}

template <class T, class Window>
void avg_pool_backward(const AvgPoolingBackward<T, Window>& op, Range range, Scratch) {
    const bool apart = op.down().apart() && op.across().apart();
    const auto [begin, end] = begun_images(op, range, apart);
    const Range rows{begin * op.dy.shape[1], end * op.dy.shape[1]};
    if (apart)
        spread<true>(op, rows, op.dy.data, op.dx.data);
    else
        spread<false>(op, rows, op.dy.data, op.dx.data);
    if (op.slope || op.activation != Activation::identity) {
        const Index size = op.dx.shape[1] * op.dx.shape[2] * op.dx.shape[3], at = begin * size;
        T* const dx = op.dx.data + at;
        multiply_slope(op.activation, op.x.data + at, op.slope ? op.slope.data + at : nullptr, dx, dx,
                       (end - begin) * size, T(op.alpha));
    }
}

}  // namespace

BACKPASS_KERNEL(AvgPool2dForward, avg_pool_forward)
BACKPASS_KERNEL(AvgPool2dBackward, avg_pool_backward)
BACKPASS_KERNEL(AdaptiveAvgPool2dForward, avg_pool_forward)
BACKPASS_KERNEL(AdaptiveAvgPool2dBackward, avg_pool_backward)

}  // namespace backpass::BACKPASS_ISA
