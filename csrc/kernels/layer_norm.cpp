// Layer normalisation of (..., C), row by row. The variance takes a second pass, for accuracy.
#include "../ops/layer_norm.hpp"
#include "channels.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// y = (x - mean) inv_std weight + bias, inv_std = 1/√(var + eps), over C for each row
template <class T>
void layer_norm_forward(const LayerNormForward<T>& op, Range range, Scratch) {
    const Index size = op.x.cols();
    const auto [begin, end] = covered(range, op.rows_per_task(), op.x.rows());
    const T *weight = op.weight.data, *bias = op.bias.data, count = T(size > 0 ? size : 1);
    for (Index r = begin; r < end; ++r) {
        const T* x = op.x.data + r * size;
        T* y = op.y.data + r * size;
        const auto mean_of = [&](auto f) BP_INLINED { return sum(sum_vectors<T>(size, f)) / count; };
        const vec<T> mean =
            broadcast<T>(mean_of([&](Index i, int n) BP_INLINED { return load_some(x + i, n); }));
        const T var = mean_of([&](Index i, int n) BP_INLINED {
            const vec<T> d = load_some(x + i, n) - mean;
            return d * d;
        });
        const vec<T> inv_std = T(1) / sqrt(broadcast<T>(var + T(op.eps)));
        op.mean.data[r] = mean[0];
        op.inv_std.data[r] = inv_std[0];
        each_vector<T>(size, [&](Index i, int n) BP_INLINED {
            const vec<T> normal = (load_some(x + i, n) - mean) * inv_std;
            store_some(y + i, normal * load_or(T(1), weight, i, n) + load_or(T(0), bias, i, n), n);
        });
    }
}

// x̂ = (x - mean) inv_std, g = dy weight; dx = inv_std (g - mean(g) - x̂ mean(g x̂)), the tasks by rows
template <class T>
BP_INLINE void layer_norm_dx(const LayerNormBackward<T>& op, Range rows) {
    const Index size = op.x.cols();
    const T *weight = op.weight.data, count = T(size);
    for (Index r = rows.begin; r < rows.end; ++r) {
        const T *x = op.x.data + r * size, *dy = op.dy.data + r * size;
        T* dx = op.dx.data + r * size;
        const vec<T> mean = broadcast<T>(op.mean.data[r]), inv_std = broadcast<T>(op.inv_std.data[r]);
        const auto normal = [&](Index i, int n) BP_INLINED { return (load_some(x + i, n) - mean) * inv_std; };
        const auto g = [&](Index i, int n) BP_INLINED {
            return weight ? load_some(dy + i, n) * load_some(weight + i, n) : load_some(dy + i, n);
        };
        const auto mean_of = [&](auto f) BP_INLINED { return sum(sum_vectors<T>(size, f)) / count; };
        const T shift = mean_of(g);
        const T slope = mean_of([&](Index i, int n) BP_INLINED { return g(i, n) * normal(i, n); });
        each_vector<T>(size, [&](Index i, int n) BP_INLINED {
            store_some(dx + i, inv_std * (g(i, n) - (shift + normal(i, n) * slope)), n);
        });
    }
}

// dweight = Σ_r dy x̂, dbias = Σ_r dy, the tasks by columns
template <class T>
BP_INLINE void layer_norm_dweight(const LayerNormBackward<T>& op, Range columns) {
    const Index size = op.x.cols();
    each_channel_group<T>(columns, [&](auto vectors, Index c, int n) BP_INLINED {
        constexpr int K = decltype(vectors)::count, w = width<T>;
        vec<T> sums[2 * K] = {};  // dbias, dweight
        sum_rows<T>(op.x.rows(), kRowsOfSum, sums, [&](Index r, vec<T>* part) BP_INLINED {
            for (int k = 0; k < K; ++k) {
                const Index i = r * size + c + k * w;
                const vec<T> d = load_some(op.dy.data + i, n);
                part[k] += d;
                part[K + k] += d * ((load_some(op.x.data + i, n) - op.mean.data[r]) * op.inv_std.data[r]);
            }
        });
        for (int k = 0; k < K; ++k) {
            if (op.dbias) store_some(op.dbias.data + c + k * w, sums[k], n);
            if (op.dweight) store_some(op.dweight.data + c + k * w, sums[K + k], n);
        }
    });
}

template <class T>
void layer_norm_backward(const LayerNormBackward<T>& op, Range range, Scratch) {
    const Index inputs = op.input_tasks();
    if (op.dx) layer_norm_dx(op, covered(range, op.rows_per_task(), op.x.rows()));
    if (range.end > inputs)
        layer_norm_dweight(op,
                           covered({range.begin - inputs, range.end - inputs}, kChannelPiece, op.x.cols()));
}

}  // namespace

BACKPASS_KERNEL(LayerNormForward, layer_norm_forward)
BACKPASS_KERNEL(LayerNormBackward, layer_norm_backward)

}  // namespace backpass::BACKPASS_ISA
