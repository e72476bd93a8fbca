// Ring 1: batch normalisation of (B, C, L) and layer normalisation of (R, C) (ops/norm.hpp). Variances in two passes.
#include "kernel.hpp"
#include "simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// The first n lanes; of a whole vector n is the constant width<T>, and the test disappears.
template <class T> BP_INLINE vec<T> get(const T* p, int n) {
    return n == width<T> ? load(p) : load_tail(p, n);
}
template <class T> BP_INLINE void put(T* p, vec<T> v, int n) {
    n == width<T> ? store(p, v) : store_tail(p, v, n);
}
template <class T> BP_INLINE vec<T> get_or(const T* p, std::int64_t at, T other, int n) {
    return p ? get(p + at, n) : broadcast<T>(other);
}

// v in the first n lanes, zero in the rest.
template <class V> BP_INLINE V first(V v, int n) {
    using Int = lane<ivec<lane<V>>>;
    return n == width<lane<V>> ? v : select<V>(iota<Int>() < Int(n), v, V{});
}

// f(i, n) for the vectors of `size` elements.
template <class T, class F> BP_INLINE void columns(std::int64_t size, F f) {
    std::int64_t i = 0;
    for (; i + width<T> <= size; i += width<T>) f(i, width<T>);
    if (i < size) f(i, int(size - i));
}

// The sum of f(i, n) over `size` elements, lane by lane.
template <class T, class F> BP_INLINE vec<T> sum_columns(std::int64_t size, F f) {
    constexpr int w = width<T>;
    vec<T> a{}, b{}, c{}, d{};
    std::int64_t i = 0;
    for (; i + 4 * w <= size; i += 4 * w)
        a += f(i, w), b += f(i + w, w), c += f(i + 2 * w, w), d += f(i + 3 * w, w);
    for (; i + w <= size; i += w) a += f(i, w);
    if (i < size) b += first(f(i, int(size - i)), int(size - i));
    return (a + b) + (c + d);
}

// N sums over rows in parts of `piece` rows, for accuracy: add(b, part) adds row b.
template <class T, int N, class F> BP_INLINE void sum_rows(std::int64_t rows, std::int64_t piece,
                                                           vec<T> (&total)[N], F add) {
    for (std::int64_t b = 0; b < rows;) {
        const std::int64_t end = rows - b < piece ? rows : b + piece;
        vec<T> part[N] = {};
        for (; b < end; ++b) add(b, part);
        for (int k = 0; k < N; ++k) total[k] += part[k];
    }
}

template <int K> struct Vectors {
    static constexpr int count = K;
};

// f(Vectors<K>, c, n): K vectors of channels at c, or the first n of the last one.
template <class T, class F> BP_INLINE void channels(std::int64_t begin, std::int64_t end, F f) {
    constexpr int w = width<T>;
    for (; begin + 4 * w <= end; begin += 4 * w) f(Vectors<4>{}, begin, w);
    for (; begin + w <= end; begin += w) f(Vectors<1>{}, begin, w);
    if (begin < end) f(Vectors<1>{}, begin, int(end - begin));
}

// A task's channels; all of them where there is one task.
struct Piece {
    std::int64_t begin, end;
};
BP_INLINE Piece piece_of(Range range, std::int64_t first_task, std::int64_t tasks, std::int64_t size) {
    const std::int64_t begin = range.begin - first_task, end = range.end - first_task;
    return {begin <= 0 ? 0 : begin * kChannelPiece, end >= tasks ? size : end * kChannelPiece};
}

constexpr std::int64_t kRowsOfSum = 64;  // rows that are summed in one go

// ---- batch normalisation ---------------------------------------------------------------------------------------

// Mean and variance of n channels at c are known: keep them, and mix them into the running ones. Returns 1/√(var + eps).
template <class T>
BP_INLINE vec<T> keep_statistics(const BatchNormForward<T>& op, std::int64_t c, int n, vec<T> mean,
                                 vec<T> var, double share) {
    const vec<T> inv_std = T(1) / sqrt(var + T(op.eps));
    put(op.mean.data + c, mean, n);
    put(op.inv_std.data + c, inv_std, n);
    if (op.running_mean && op.running_var) {
        const std::int64_t count = op.x.shape[0] * op.x.shape[2];
        const T mixed = T(share), unbiased = T(double(count) / double(count > 1 ? count - 1 : 1));
        T *m = op.running_mean.data + c, *v = op.running_var.data + c;
        const vec<T> old_mean = get(m, n), old_var = get(v, n);
        // A step that the guard is about to stop must not spoil them.
        const auto finite = (mean - mean == T(0)) & (var - var == T(0));
        put(m, select(finite, old_mean + mixed * (mean - old_mean), old_mean), n);
        put(v, select(finite, old_var + mixed * (var * unbiased - old_var), old_var), n);
    }
    return inv_std;
}

// y = (x - mean) inv_std weight + bias, inv_std = 1/√(var + eps), over (B, L) for each channel
template <class T> void batch_norm_forward(const BatchNormForward<T>& op, Range range, Scratch) {
    const std::int64_t rows = op.x.shape[0], size = op.x.shape[1], length = op.x.shape[2];
    const T *x = op.x.data, *weight = op.weight.data, *bias = op.bias.data,
            count = T(rows * length > 0 ? rows * length : 1);
    T* y = op.y.data;
    double share = op.momentum;
    if (op.batches) {
        if (share < 0) share = 1 / double(op.batches.data[0] + 1);
        if (range.begin == 0) ++op.batches.data[0];
    }
    const Piece piece = piece_of(range, 0, op.tasks(), size);
    if (length == 1) {
        channels<T>(piece.begin, piece.end, [&](auto vectors, std::int64_t c, int n) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            vec<T> mean[K] = {}, var[K] = {}, scale[K], shift[K];
            sum_rows<T>(rows, kRowsOfSum, mean, [&](std::int64_t b, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) part[k] += get(x + b * size + c + k * w, n);
            });
            for (int k = 0; k < K; ++k) mean[k] /= count;
            sum_rows<T>(rows, kRowsOfSum, var, [&](std::int64_t b, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) {
                    const vec<T> d = get(x + b * size + c + k * w, n) - mean[k];
                    part[k] += d * d;
                }
            });
            for (int k = 0; k < K; ++k) {
                scale[k] = keep_statistics(op, c + k * w, n, mean[k], var[k] / count, share) *
                           get_or(weight, c + k * w, T(1), n);
                shift[k] = get_or(bias, c + k * w, T(0), n);
            }
            for (std::int64_t b = 0; b < rows; ++b)
                for (int k = 0; k < K; ++k) {
                    const std::int64_t i = b * size + c + k * w;
                    put(y + i, (get(x + i, n) - mean[k]) * scale[k] + shift[k], n);
                }
        });
        return;
    }
    for (std::int64_t c = piece.begin; c < piece.end; ++c) {
        const std::int64_t step = size * length;
        const T* at = x + c * length;
        vec<T> sums[1] = {}, squares[1] = {};
        sum_rows<T>(rows, 1 + kRowsOfSum / (length + 1), sums, [&](std::int64_t b, vec<T>* part) BP_INLINED {
            *part += sum_columns<T>(
                length, [&](std::int64_t l, int n) BP_INLINED { return get(at + b * step + l, n); });
        });
        const vec<T> mean = broadcast<T>(sum(sums[0]) / count);
        sum_rows<T>(rows, 1 + kRowsOfSum / (length + 1), squares,
                    [&](std::int64_t b, vec<T>* part) BP_INLINED {
                        *part += sum_columns<T>(length, [&](std::int64_t l, int n) BP_INLINED {
                            const vec<T> d = get(at + b * step + l, n) - mean;
                            return d * d;
                        });
                    });
        const vec<T> var = broadcast<T>(sum(squares[0]) / count);
        const vec<T> scale =
            broadcast<T>(keep_statistics(op, c, 1, mean, var, share)[0] * (weight ? weight[c] : T(1)));
        const T shift = bias ? bias[c] : T(0);
        for (std::int64_t b = 0; b < rows; ++b)
            columns<T>(length, [&](std::int64_t l, int n) BP_INLINED {
                put(y + b * step + c * length + l, (get(at + b * step + l, n) - mean) * scale + shift, n);
            });
    }
}

// y = (x - running_mean) / √(running_var + eps) weight + bias
template <class T> void batch_norm_inference(const BatchNormInference<T>& op, Range range, Scratch) {
    const std::int64_t rows = op.x.shape[0], size = op.x.shape[1], length = op.x.shape[2];
    const T *x = op.x.data, *weight = op.weight.data, *bias = op.bias.data;
    T* y = op.y.data;
    const Piece piece = piece_of(range, 0, op.tasks(), size);
    channels<T>(piece.begin, piece.end, [&](auto vectors, std::int64_t c, int n) BP_INLINED {
        constexpr int K = decltype(vectors)::count, w = width<T>;
        vec<T> mean[K], scale[K], shift[K];
        for (int k = 0; k < K; ++k) {
            mean[k] = get(op.running_mean.data + c + k * w, n);
            scale[k] = T(1) / sqrt(get(op.running_var.data + c + k * w, n) + T(op.eps)) *
                       get_or(weight, c + k * w, T(1), n);
            shift[k] = get_or(bias, c + k * w, T(0), n);
        }
        for (std::int64_t b = 0; b < rows; ++b)
            for (int k = 0; k < K; ++k) {
                const std::int64_t i = b * size + c + k * w;
                if (length == 1) {
                    put(y + i, (get(x + i, n) - mean[k]) * scale[k] + shift[k], n);
                    continue;
                }
                for (int j = 0; j < n; ++j) {
                    const vec<T> m = broadcast<T>(mean[k][j]), s = broadcast<T>(scale[k][j]),
                                 t = broadcast<T>(shift[k][j]);
                    columns<T>(length, [&](std::int64_t l, int left) BP_INLINED {
                        put(y + (i + j) * length + l, (get(x + (i + j) * length + l, left) - m) * s + t,
                            left);
                    });
                }
            }
    });
}

// x̂ = (x - mean) inv_std; dweight = Σ dy x̂; dbias = Σ dy; dx = weight inv_std (dy - (dbias + x̂ dweight) / count)
template <class T> void batch_norm_backward(const BatchNormBackward<T>& op, Range range, Scratch) {
    const std::int64_t rows = op.x.shape[0], size = op.x.shape[1], length = op.x.shape[2];
    const T *x = op.x.data, *dy = op.dy.data, *weight = op.weight.data;
    const T count = T(rows * length > 1 ? rows * length : 1);
    const Piece piece = piece_of(range, 0, op.tasks(), size);
    if (length == 1) {
        channels<T>(piece.begin, piece.end, [&](auto vectors, std::int64_t c, int n) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            vec<T> mean[K], inv_std[K], scale[K], sums[2 * K] = {};  // dbias, dweight
            for (int k = 0; k < K; ++k) {
                mean[k] = get(op.mean.data + c + k * w, n);
                inv_std[k] = get(op.inv_std.data + c + k * w, n);
                scale[k] = inv_std[k] * get_or(weight, c + k * w, T(1), n);
            }
            sum_rows<T>(rows, kRowsOfSum, sums, [&](std::int64_t b, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) {
                    const std::int64_t i = b * size + c + k * w;
                    const vec<T> d = get(dy + i, n);
                    part[k] += d;
                    part[K + k] += d * ((get(x + i, n) - mean[k]) * inv_std[k]);
                }
            });
            for (int k = 0; k < K; ++k) {
                if (op.dbias) put(op.dbias.data + c + k * w, sums[k], n);
                if (op.dweight) put(op.dweight.data + c + k * w, sums[K + k], n);
                sums[k] /= count;
                sums[K + k] /= count;
            }
            if (!op.dx) return;
            for (std::int64_t b = 0; b < rows; ++b)
                for (int k = 0; k < K; ++k) {
                    const std::int64_t i = b * size + c + k * w;
                    const vec<T> normal = (get(x + i, n) - mean[k]) * inv_std[k];
                    put(op.dx.data + i, scale[k] * (get(dy + i, n) - (sums[k] + normal * sums[K + k])), n);
                }
        });
        return;
    }
    for (std::int64_t c = piece.begin; c < piece.end; ++c) {
        const vec<T> mean = broadcast<T>(op.mean.data[c]), inv_std = broadcast<T>(op.inv_std.data[c]);
        const auto normal = [&](std::int64_t i, int n)
                                BP_INLINED { return (get(x + i, n) - mean) * inv_std; };
        vec<T> sums[2] = {};
        sum_rows<T>(rows, 1 + kRowsOfSum / (length + 1), sums, [&](std::int64_t b, vec<T>* part) BP_INLINED {
            const std::int64_t at = (b * size + c) * length;
            part[0] +=
                sum_columns<T>(length, [&](std::int64_t l, int n) BP_INLINED { return get(dy + at + l, n); });
            part[1] += sum_columns<T>(length, [&](std::int64_t l, int n) BP_INLINED {
                return get(dy + at + l, n) * normal(at + l, n);
            });
        });
        const T shift = sum(sums[0]), slope = sum(sums[1]);
        if (op.dbias) op.dbias.data[c] = shift;
        if (op.dweight) op.dweight.data[c] = slope;
        if (!op.dx) continue;
        const T scale = inv_std[0] * (weight ? weight[c] : T(1)), shift_mean = shift / count,
                slope_mean = slope / count;
        for (std::int64_t b = 0; b < rows; ++b) {
            const std::int64_t at = (b * size + c) * length;
            columns<T>(length, [&](std::int64_t l, int n) BP_INLINED {
                put(op.dx.data + at + l,
                    scale * (get(dy + at + l, n) - (shift_mean + normal(at + l, n) * slope_mean)), n);
            });
        }
    }
}

// ---- layer normalisation ---------------------------------------------------------------------------------------

// y = (x - mean) inv_std weight + bias, inv_std = 1/√(var + eps), over C for each row
template <class T> void layer_norm_forward(const LayerNormForward<T>& op, Range range, Scratch) {
    const std::int64_t size = op.x.cols(), rows = op.x.rows(), stop = range.end * op.rows_per_task(),
                       end = stop < rows ? stop : rows;
    const T *weight = op.weight.data, *bias = op.bias.data, count = T(size > 0 ? size : 1);
    for (std::int64_t r = range.begin * op.rows_per_task(); r < end; ++r) {
        const T* x = op.x.data + r * size;
        T* y = op.y.data + r * size;
        const vec<T> mean = broadcast<T>(
            sum(sum_columns<T>(size, [&](std::int64_t i, int n) BP_INLINED { return get(x + i, n); })) /
            count);
        const T var = sum(sum_columns<T>(size,
                                         [&](std::int64_t i, int n) BP_INLINED {
                                             const vec<T> d = get(x + i, n) - mean;
                                             return d * d;
                                         })) /
                      count;
        const vec<T> inv_std = T(1) / sqrt(broadcast<T>(var + T(op.eps)));
        op.mean.data[r] = mean[0];
        op.inv_std.data[r] = inv_std[0];
        columns<T>(size, [&](std::int64_t i, int n) BP_INLINED {
            put(y + i,
                (get(x + i, n) - mean) * inv_std * get_or(weight, i, T(1), n) + get_or(bias, i, T(0), n), n);
        });
    }
}

// x̂ = (x - mean) inv_std, g = dy weight; dx = inv_std (g - mean(g) - x̂ mean(g x̂)), the tasks by rows
template <class T> BP_INLINE void layer_norm_dx(const LayerNormBackward<T>& op, std::int64_t begin,
                                                std::int64_t end) {
    const std::int64_t size = op.x.cols();
    const T *weight = op.weight.data, count = T(size);
    for (std::int64_t r = begin; r < end; ++r) {
        const T *x = op.x.data + r * size, *dy = op.dy.data + r * size;
        T* dx = op.dx.data + r * size;
        const vec<T> mean = broadcast<T>(op.mean.data[r]), inv_std = broadcast<T>(op.inv_std.data[r]);
        const auto normal = [&](std::int64_t i, int n)
                                BP_INLINED { return (get(x + i, n) - mean) * inv_std; };
        const auto g = [&](std::int64_t i, int n) BP_INLINED {
            return weight ? get(dy + i, n) * get(weight + i, n) : get(dy + i, n);
        };
        const T shift = sum(sum_columns<T>(size, g)) / count;
        const T slope = sum(sum_columns<T>(
                            size, [&](std::int64_t i, int n) BP_INLINED { return g(i, n) * normal(i, n); })) /
                        count;
        columns<T>(size, [&](std::int64_t i, int n) BP_INLINED {
            put(dx + i, inv_std * (g(i, n) - (shift + normal(i, n) * slope)), n);
        });
    }
}

// dweight = Σ_r dy x̂, dbias = Σ_r dy, the tasks by columns
template <class T> BP_INLINE void layer_norm_dweight(const LayerNormBackward<T>& op, Piece piece) {
    const std::int64_t size = op.x.cols();
    channels<T>(piece.begin, piece.end, [&](auto vectors, std::int64_t c, int n) BP_INLINED {
        constexpr int K = decltype(vectors)::count, w = width<T>;
        vec<T> sums[2 * K] = {};  // dbias, dweight
        sum_rows<T>(op.x.rows(), kRowsOfSum, sums, [&](std::int64_t r, vec<T>* part) BP_INLINED {
            for (int k = 0; k < K; ++k) {
                const std::int64_t i = r * size + c + k * w;
                const vec<T> d = get(op.dy.data + i, n);
                part[k] += d;
                part[K + k] += d * ((get(op.x.data + i, n) - op.mean.data[r]) * op.inv_std.data[r]);
            }
        });
        for (int k = 0; k < K; ++k) {
            if (op.dbias) put(op.dbias.data + c + k * w, sums[k], n);
            if (op.dweight) put(op.dweight.data + c + k * w, sums[K + k], n);
        }
    });
}

template <class T> void layer_norm_backward(const LayerNormBackward<T>& op, Range range, Scratch) {
    const std::int64_t inputs = op.input_tasks(), per_task = op.rows_per_task(), rows = op.x.rows();
    if (range.begin < inputs)
        layer_norm_dx(op, range.begin * per_task, range.end >= inputs ? rows : range.end * per_task);
    if (range.end > inputs) layer_norm_dweight(op, piece_of(range, inputs, op.weight_tasks(), op.x.cols()));
}

}  // namespace

BACKPASS_KERNEL(BatchNormForward, batch_norm_forward)
BACKPASS_KERNEL(BatchNormInference, batch_norm_inference)
BACKPASS_KERNEL(BatchNormBackward, batch_norm_backward)
BACKPASS_KERNEL(LayerNormForward, layer_norm_forward)
BACKPASS_KERNEL(LayerNormBackward, layer_norm_backward)

}  // namespace backpass::BACKPASS_ISA
