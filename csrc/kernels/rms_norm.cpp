// Normalisation of (..., C) by the root mean square, row by row.
#include "../ops/rms_norm.hpp"
#include "channels.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// y = x inv_rms weight, inv_rms = 1/√(mean(x²) + eps), over C for each row
template <class T>
void rms_norm_forward(const RMSNormForward<T>& op, Range range, Scratch) {
    const Index size = op.x.cols();
    const auto [begin, end] = covered(range, op.rows_per_task(), op.x.rows());
    const T *weight = op.weight.data, count = T(size > 0 ? size : 1);
    for (Index r = begin; r < end; ++r) {
        const T* x = op.x.data + r * size;
        T* y = op.y.data + r * size;
        const T squares = sum(sum_vectors<T>(size, [&](Index i, int n) BP_INLINED {
            const vec<T> v = load_some(x + i, n);
            return v * v;
        }));
        const vec<T> inv_rms = T(1) / sqrt(broadcast<T>(squares / count + T(op.eps)));
        op.inv_rms.data[r] = inv_rms[0];
        each_vector<T>(size, [&](Index i, int n) BP_INLINED {
            store_some(y + i, load_some(x + i, n) * inv_rms * load_or(T(1), weight, i, n), n);
        });
    }
}

// x̂ = x inv_rms, g = dy weight; dx = inv_rms (g - x̂ mean(g x̂)), the tasks by rows
template <class T>
BP_INLINE void rms_norm_dx(const RMSNormBackward<T>& op, Range rows) {
    const Index size = op.x.cols();
    const T *weight = op.weight.data, count = T(size);
    for (Index r = rows.begin; r < rows.end; ++r) {
        const T *x = op.x.data + r * size, *dy = op.dy.data + r * size;
        T* dx = op.dx.data + r * size;
        const vec<T> inv_rms = broadcast<T>(op.inv_rms.data[r]);
        const auto normal = [&](Index i, int n) BP_INLINED { return load_some(x + i, n) * inv_rms; };
        const auto g = [&](Index i, int n) BP_INLINED {
            return weight ? load_some(dy + i, n) * load_some(weight + i, n) : load_some(dy + i, n);
        };
        const T slope =
            sum(sum_vectors<T>(size, [&](Index i, int n) BP_INLINED { return g(i, n) * normal(i, n); })) /
            count;
        each_vector<T>(size, [&](Index i, int n) BP_INLINED {
            store_some(dx + i, inv_rms * (g(i, n) - normal(i, n) * slope), n);
        });
    }
}

// dweight = Σ_r dy x̂, the tasks by columns
template <class T>
BP_INLINE void rms_norm_dweight(const RMSNormBackward<T>& op, Range columns) {
    const Index size = op.x.cols();
    each_channel_group<T>(columns, [&](auto vectors, Index c, int n) BP_INLINED {
        constexpr int K = decltype(vectors)::count, w = width<T>;
        vec<T> sums[K] = {};
        sum_rows<T>(op.x.rows(), kRowsOfSum, sums, [&](Index r, vec<T>* part) BP_INLINED {
            for (int k = 0; k < K; ++k) {
                const Index i = r * size + c + k * w;
                part[k] += load_some(op.dy.data + i, n) * (load_some(op.x.data + i, n) * op.inv_rms.data[r]);
            }
        });
        for (int k = 0; k < K; ++k) store_some(op.dweight.data + c + k * w, sums[k], n);
    });
}

template <class T>
void rms_norm_backward(const RMSNormBackward<T>& op, Range range, Scratch) {
    const Index inputs = op.input_tasks();
    if (op.dx) rms_norm_dx(op, covered(range, op.rows_per_task(), op.x.rows()));
    if (range.end > inputs)
        rms_norm_dweight(op, covered({range.begin - inputs, range.end - inputs}, kChannelPiece, op.x.cols()));
}

}  // namespace

BACKPASS_KERNEL(RMSNormForward, rms_norm_forward)
BACKPASS_KERNEL(RMSNormBackward, rms_norm_backward)

}  // namespace backpass::BACKPASS_ISA
