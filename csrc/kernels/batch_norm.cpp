// Batch normalisation of (B, C, L). The variance takes a second pass, for accuracy.
//
// If L is 1, a vector holds neighbouring channels of one row; otherwise it holds neighbours of one channel.
#include "../ops/batch_norm.hpp"
#include "channels.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Store the statistics of n channels at c. Returns 1/√(var + eps).
template <class T>
BP_INLINE vec<T> keep_statistics(const BatchNormForward<T>& op, Index c, int n, vec<T> mean, vec<T> var) {
    const vec<T> inv_std = T(1) / sqrt(var + T(op.eps));
    store_some(op.mean.data + c, mean, n);
    store_some(op.inv_std.data + c, inv_std, n);
    if (op.var) store_some(op.var.data + c, var, n);
    return inv_std;
}

// y = (x - mean) inv_std weight + bias, inv_std = 1/√(var + eps), over (B, L) for each channel
template <class T>
void batch_norm_forward(const BatchNormForward<T>& op, Range range, Scratch) {
    const Shape shape = shape_of(op.x);
    const Index rows = shape.rows, channels = shape.channels, length = shape.length;
    const T *x = op.x.data, *weight = op.weight.data, *bias = op.bias.data;
    const T count = T(rows * length > 0 ? rows * length : 1);
    T* y = op.y.data;
    const Range piece = covered(range, kChannelPiece, channels);
    if (length == 1) {
        each_channel_group<T>(piece, [&](auto vectors, Index c, int n) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            vec<T> mean[K] = {}, var[K] = {}, scale[K], shift[K];
            sum_rows<T>(rows, kRowsOfSum, mean, [&](Index b, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) part[k] += load_some(x + b * channels + c + k * w, n);
            });
            for (int k = 0; k < K; ++k) mean[k] /= count;
            sum_rows<T>(rows, kRowsOfSum, var, [&](Index b, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) {
                    const vec<T> d = load_some(x + b * channels + c + k * w, n) - mean[k];
                    part[k] += d * d;
                }
            });
            for (int k = 0; k < K; ++k) {
                const Index at = c + k * w;
                scale[k] = keep_statistics(op, at, n, mean[k], var[k] / count) * load_or(T(1), weight, at, n);
                shift[k] = load_or(T(0), bias, at, n);
            }
            for (Index b = 0; b < rows; ++b)
                for (int k = 0; k < K; ++k) {
                    const Index i = b * channels + c + k * w;
                    store_some(y + i, (load_some(x + i, n) - mean[k]) * scale[k] + shift[k], n);
                }
        });
        return;
    }
    for (Index c = piece.begin; c < piece.end; ++c) {
        vec<T> total[1] = {}, squares[1] = {};
        sum_channel<T>(shape, c, total, [&](Index i, int n) BP_INLINED { return load_some(x + i, n); });
        const vec<T> mean = broadcast<T>(sum(total[0]) / count);
        sum_channel<T>(shape, c, squares, [&](Index i, int n) BP_INLINED {
            const vec<T> d = load_some(x + i, n) - mean;
            return d * d;
        });
        const vec<T> var = broadcast<T>(sum(squares[0]) / count);
        const T inv_std = keep_statistics(op, c, 1, mean, var)[0];
        const T scale = inv_std * (weight ? weight[c] : T(1)), shift = bias ? bias[c] : T(0);
        along_channel<T>(shape, c, [&](Index i, int n) BP_INLINED {
            store_some(y + i, (load_some(x + i, n) - mean) * scale + shift, n);
        });
    }
}

// running += momentum (new - running), where new is finite. momentum < 0 stands for 1 / number of batches.
template <class T>
void batch_norm_track(const BatchNormTrack<T>& op, Range, Scratch) {
    const std::uint64_t batches = std::uint64_t(op.batches.data[0]) + 1;
    op.batches.data[0] = Index(batches);
    const T mixed = T(op.momentum < 0 ? 1 / double(Index(batches)) : op.momentum);
    const T unbiased = T(double(op.count) / double(op.count > 1 ? op.count - 1 : 1));
    each_vector<T>(op.mean.size(), [&](Index c, int n) BP_INLINED {
        const vec<T> mean = load_some(op.mean.data + c, n), var = load_some(op.var.data + c, n);
        T *m = op.running_mean.data + c, *v = op.running_var.data + c;
        const vec<T> old_mean = load_some(m, n), old_var = load_some(v, n);
        const auto finite = (mean - mean == T(0)) & (var - var == T(0));
        store_some(m, select(finite, old_mean + mixed * (mean - old_mean), old_mean), n);
        store_some(v, select(finite, old_var + mixed * (var * unbiased - old_var), old_var), n);
    });
}

// y = (x - running_mean) / √(running_var + eps) weight + bias
template <class T>
BP_INLINE void normalise(const BatchNormInference<T>& op, Range rows, Range channels) {
    const Index size = op.x.shape[1], length = op.x.shape[2];
    const T *x = op.x.data, *weight = op.weight.data, *bias = op.bias.data;
    T* y = op.y.data;
    each_channel_group<T>(channels, [&](auto vectors, Index c, int n) BP_INLINED {
        constexpr int K = decltype(vectors)::count, w = width<T>;
        vec<T> mean[K], scale[K], shift[K];
        for (int k = 0; k < K; ++k) {
            const Index at = c + k * w;
            mean[k] = load_some(op.running_mean.data + at, n);
            scale[k] = T(1) / sqrt(load_some(op.running_var.data + at, n) + T(op.eps)) *
                       load_or(T(1), weight, at, n);
            shift[k] = load_or(T(0), bias, at, n);
        }
        for (Index b = rows.begin; b < rows.end; ++b)
            for (int k = 0; k < K; ++k) {
                const Index i = b * size + c + k * w;
                if (length == 1) {
                    store_some(y + i, (load_some(x + i, n) - mean[k]) * scale[k] + shift[k], n);
                    continue;
                }
                for (int j = 0; j < n; ++j) {
                    const T m = mean[k][j], s = scale[k][j], t = shift[k][j];
                    const Index at = (i + j) * length;
                    each_vector<T>(length, [&](Index l, int left) BP_INLINED {
                        store_some(y + at + l, (load_some(x + at + l, left) - m) * s + t, left);
                    });
                }
            }
    });
}

template <class T>
void batch_norm_inference(const BatchNormInference<T>& op, Range range, Scratch) {
    const Index across = op.channel_tasks();
    for (Index task = range.begin; task < range.end; ++task) {
        const Index row = task / across, column = task % across;
        normalise(op, covered({row, row + 1}, op.rows_per_task(), op.x.shape[0]),
                  covered({column, column + 1}, kChannelPiece, op.x.shape[1]));
    }
}

// x̂ = (x - mean) inv_std; dweight = Σ dy x̂; dbias = Σ dy; dx = weight inv_std (dy - (dbias + x̂ dweight) / count)
template <class T>
void batch_norm_backward(const BatchNormBackward<T>& op, Range range, Scratch) {
    const Shape shape = shape_of(op.x);
    const Index rows = shape.rows, channels = shape.channels, length = shape.length;
    const T *x = op.x.data, *dy = op.dy.data, *weight = op.weight.data;
    const T count = T(rows * length > 1 ? rows * length : 1);
    const Range piece = covered(range, kChannelPiece, channels);
    if (length == 1) {
        each_channel_group<T>(piece, [&](auto vectors, Index c, int n) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            vec<T> mean[K], inv_std[K], scale[K], sums[2 * K] = {};  // dbias, dweight
            for (int k = 0; k < K; ++k) {
                mean[k] = load_some(op.mean.data + c + k * w, n);
                inv_std[k] = load_some(op.inv_std.data + c + k * w, n);
                scale[k] = inv_std[k] * load_or(T(1), weight, c + k * w, n);
            }
            sum_rows<T>(rows, kRowsOfSum, sums, [&](Index b, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) {
                    const Index i = b * channels + c + k * w;
                    const vec<T> d = load_some(dy + i, n);
                    part[k] += d;
                    part[K + k] += d * ((load_some(x + i, n) - mean[k]) * inv_std[k]);
                }
            });
            for (int k = 0; k < K; ++k) {
                if (op.dbias) store_some(op.dbias.data + c + k * w, sums[k], n);
                if (op.dweight) store_some(op.dweight.data + c + k * w, sums[K + k], n);
                sums[k] /= count;
                sums[K + k] /= count;
            }
            if (!op.dx) return;
            for (Index b = 0; b < rows; ++b)
                for (int k = 0; k < K; ++k) {
                    const Index i = b * channels + c + k * w;
                    const vec<T> normal = (load_some(x + i, n) - mean[k]) * inv_std[k];
                    store_some(op.dx.data + i,
                               scale[k] * (load_some(dy + i, n) - (sums[k] + normal * sums[K + k])), n);
                }
        });
        return;
    }
    for (Index c = piece.begin; c < piece.end; ++c) {
        const vec<T> mean = broadcast<T>(op.mean.data[c]), inv_std = broadcast<T>(op.inv_std.data[c]);
        const auto gradient = [&](Index i, int n) BP_INLINED { return load_some(dy + i, n); };
        const auto normal = [&](Index i, int n) BP_INLINED { return (load_some(x + i, n) - mean) * inv_std; };
        const auto product = [&](Index i, int n) BP_INLINED { return load_some(dy + i, n) * normal(i, n); };
        vec<T> sums[2] = {};
        sum_channel<T>(shape, c, sums, gradient, product);
        const T dbias = sum(sums[0]), dweight = sum(sums[1]);
        if (op.dbias) op.dbias.data[c] = dbias;
        if (op.dweight) op.dweight.data[c] = dweight;
        if (!op.dx) continue;
        const T scale = inv_std[0] * (weight ? weight[c] : T(1)), shift = dbias / count,
                slope = dweight / count;
        along_channel<T>(shape, c, [&](Index i, int n) BP_INLINED {
            store_some(op.dx.data + i, scale * (load_some(dy + i, n) - (shift + normal(i, n) * slope)), n);
        });
    }
}

}  // namespace

BACKPASS_KERNEL(BatchNormForward, batch_norm_forward)
BACKPASS_KERNEL(BatchNormTrack, batch_norm_track)
BACKPASS_KERNEL(BatchNormInference, batch_norm_inference)
BACKPASS_KERNEL(BatchNormBackward, batch_norm_backward)

}  // namespace backpass::BACKPASS_ISA
