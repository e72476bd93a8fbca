// Batch normalisation of (R, C) by parts of the rows, channels in lanes. The sums of a part are double; those of all parts are
// added up again by each task, in their order.
#include "../ops/batch_norm_rows.hpp"
#include "channels.hpp"
#include "formulas.hpp"
#include "kernel.hpp"
#include "matmul/activate.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr int kMostLanes = 4 * width<float>;  // channels of a group

// Numbers of a group of channels, to go from vectors to double and back.
template <class T>
struct Group {
    T at[kMostLanes] = {};

    BP_INLINE void put(int k, vec<T> v) { store(at + k * width<T>, v); }
    BP_INLINE vec<T> get(int k) const { return load(at + k * width<T>); }
};

// of[i] = Σ_p f(p, i) for the n channels of a group.
template <class F>
BP_INLINE void sum_parts(Index parts, int n, double* of, F f) {
    for (int i = 0; i < n; ++i) of[i] = 0;
    for (Index p = 0; p < parts; ++p)
        for (int i = 0; i < n; ++i) of[i] += f(p, i);
}

// Of each part: its mean, and Σ (x - mean)². What the first mean lacks, Σ (x - mean), corrects both.
template <class T>
void batch_norm_moments(const BatchNormMoments<T>& op, Range range, Scratch) {
    const Index channels = op.x.shape[1];
    const RowParts parts{op.x.shape[0], op.means.shape[0]};
    for (Index p = range.begin; p < range.end; ++p) {
        const Range rows = parts[p];
        const T count = T(rows.end > rows.begin ? rows.end - rows.begin : 1);
        each_channel_group<T>({0, channels}, [&](auto vectors, Index c, int n) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            const T* x = op.x.data + c;
            vec<T> mean[K] = {}, moments[2 * K] = {};  // Σ d, Σ d²
            sum_rows_apart<T, K>(rows, mean, [&](Index r, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) part[k] += load_some(x + r * channels + k * w, n);
            });
            for (int k = 0; k < K; ++k) mean[k] /= count;
            sum_rows_apart<T, K>(rows, moments, [&](Index r, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) {
                    const vec<T> d = load_some(x + r * channels + k * w, n) - mean[k];
                    part[k] += d;
                    part[K + k] += d * d;
                }
            });
            Group<T> middle, lack, squares;
            for (int k = 0; k < K; ++k)
                middle.put(k, mean[k]), lack.put(k, moments[k]), squares.put(k, moments[K + k]);
            double *means = op.means.data + p * channels + c, *all = op.squares.data + p * channels + c;
            for (int i = 0; i < (K - 1) * w + n; ++i) {
                const double d = double(lack.at[i]) / double(count);
                means[i] = double(middle.at[i]) + d;
                all[i] = double(squares.at[i]) - d * double(lack.at[i]);
            }
        });
    }
}

// mean and var of all rows from those of the parts; y = f((x - mean) inv_std weight + bias + other)
template <class T>
void batch_norm_rows(const BatchNormRows<T>& op, Range range, Scratch) {
    const Index channels = op.x.shape[1], all = op.x.shape[0];
    const RowParts parts{all, op.means.shape[0]};
    const double count = double(all > 0 ? all : 1);
    const Range rows{range.begin < range.end ? parts[range.begin].begin : 0,
                     range.begin < range.end ? parts[range.end - 1].end : 0};
    const bool sweep = needs_sweep(op), relu = !sweep && op.activation == Activation::relu;
    each_channel_group<T>({0, channels}, [&](auto vectors, Index c, int n) BP_INLINED {
        constexpr int K = decltype(vectors)::count, w = width<T>;
        const int lanes = (K - 1) * w + n;
        const auto rows_of_part = [&](Index p) BP_INLINED { return double(parts[p].end - parts[p].begin); };
        double middle[kMostLanes], biased[kMostLanes];
        sum_parts(parts.parts, lanes, middle, [&](Index p, int i) BP_INLINED {
            return rows_of_part(p) * op.means.data[p * channels + c + i];
        });
        for (int i = 0; i < lanes; ++i) middle[i] /= count;
        sum_parts(parts.parts, lanes, biased, [&](Index p, int i) BP_INLINED {
            const Index at = p * channels + c + i;
            const double d = op.means.data[at] - middle[i];
            return op.squares.data[at] + rows_of_part(p) * d * d;
        });
        Group<T> means, inv_stds;
        for (int i = 0; i < lanes; ++i) {
            const double var = biased[i] / count;
            means.at[i] = T(middle[i]), inv_stds.at[i] = T(1 / __builtin_sqrt(var + op.eps));
            if (range.begin > 0 || range.end == 0) continue;
            op.mean.data[c + i] = means.at[i], op.inv_std.data[c + i] = inv_stds.at[i];
            if (op.var) op.var.data[c + i] = T(var);
        }
        vec<T> mean[K], scale[K], shift[K];
        for (int k = 0; k < K; ++k) {
            mean[k] = means.get(k);
            scale[k] = inv_stds.get(k) * load_or(T(1), op.weight.data, c + k * w, n);
            shift[k] = load_or(T(0), op.bias.data, c + k * w, n);
        }
        for (Index r = rows.begin; r < rows.end; ++r)
            for (int k = 0; k < K; ++k) {
                const Index i = r * channels + c + k * w;
                vec<T> z = (load_some(op.x.data + i, n) - mean[k]) * scale[k] + shift[k];
                if (op.other) z = z + load_some(op.other.data + i, n);
                store_some(op.y.data + i, relu ? value<Activation::relu>(z, T(0)) : z, n);
            }
    });
    if (!sweep) return;
    const Index at = rows.begin * channels;
    activate(op.activation, op.y.data + at, op.y.data + at, op.slope ? op.slope.data + at : nullptr,
             (rows.end - rows.begin) * channels, T(op.alpha));
}

// Of each part: Σ dy x̂ and Σ dy
template <class T>
void batch_norm_rows_backward(const BatchNormRowsBackward<T>& op, Range range, Scratch) {
    const Index channels = op.x.shape[1];
    const RowParts parts{op.x.shape[0], op.slopes.shape[0]};
    for (Index p = range.begin; p < range.end; ++p)
        each_channel_group<T>({0, channels}, [&](auto vectors, Index c, int n) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            vec<T> mean[K], inv_std[K], sums[2 * K] = {};
            for (int k = 0; k < K; ++k) {
                mean[k] = load_some(op.mean.data + c + k * w, n);
                inv_std[k] = load_some(op.inv_std.data + c + k * w, n);
            }
            sum_rows_apart<T, K>(parts[p], sums, [&](Index r, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) {
                    const Index i = r * channels + c + k * w;
                    const vec<T> d = load_some(op.dy.data + i, n);
                    part[k] += d * ((load_some(op.x.data + i, n) - mean[k]) * inv_std[k]);
                    part[K + k] += d;
                }
            });
            Group<T> slopes, shifts;
            for (int k = 0; k < K; ++k) slopes.put(k, sums[k]), shifts.put(k, sums[K + k]);
            for (int i = 0; i < (K - 1) * w + n; ++i) {
                op.slopes.data[p * channels + c + i] = double(slopes.at[i]);
                op.shifts.data[p * channels + c + i] = double(shifts.at[i]);
            }
        });
}

// dweight = Σ slopes; dbias = Σ shifts; dx = weight inv_std (dy - (dbias + x̂ dweight) / R)
template <class T>
void batch_norm_rows_backward_weight(const BatchNormRowsBackwardWeight<T>& op, Range range, Scratch) {
    const Index channels = op.x.shape[1], all = op.x.shape[0];
    const RowParts parts{all, op.slopes.shape[0]};
    const double count = double(all > 0 ? all : 1);
    const bool given = op.dx && range.begin < range.end;
    const Range rows{given ? parts[range.begin].begin : 0, given ? parts[range.end - 1].end : 0};
    each_channel_group<T>({0, channels}, [&](auto vectors, Index c, int n) BP_INLINED {
        constexpr int K = decltype(vectors)::count, w = width<T>;
        const int lanes = (K - 1) * w + n;
        double slopes[kMostLanes], shifts[kMostLanes];
        sum_parts(parts.parts, lanes, slopes,
                  [&](Index p, int i) BP_INLINED { return op.slopes.data[p * channels + c + i]; });
        sum_parts(parts.parts, lanes, shifts,
                  [&](Index p, int i) BP_INLINED { return op.shifts.data[p * channels + c + i]; });
        Group<T> by_slope, by_shift;
        for (int i = 0; i < lanes; ++i) {
            by_slope.at[i] = T(slopes[i] / count), by_shift.at[i] = T(shifts[i] / count);
            if (range.begin > 0 || range.end == 0) continue;
            if (op.dweight) op.dweight.data[c + i] = T(slopes[i]);
            if (op.dbias) op.dbias.data[c + i] = T(shifts[i]);
        }
        vec<T> mean[K], inv_std[K], scale[K], slope[K], shift[K];
        for (int k = 0; k < K; ++k) {
            mean[k] = load_some(op.mean.data + c + k * w, n);
            inv_std[k] = load_some(op.inv_std.data + c + k * w, n);
            scale[k] = inv_std[k] * load_or(T(1), op.weight.data, c + k * w, n);
            slope[k] = by_slope.get(k), shift[k] = by_shift.get(k);
        }
        for (Index r = rows.begin; r < rows.end; ++r)
            for (int k = 0; k < K; ++k) {
                const Index i = r * channels + c + k * w;
                const vec<T> normal = (load_some(op.x.data + i, n) - mean[k]) * inv_std[k];
                store_some(op.dx.data + i,
                           scale[k] * (load_some(op.dy.data + i, n) - (shift[k] + normal * slope[k])), n);
            }
    });
}

}  // namespace

BACKPASS_KERNEL(BatchNormMoments, batch_norm_moments)
BACKPASS_KERNEL(BatchNormRows, batch_norm_rows)
BACKPASS_KERNEL(BatchNormRowsBackward, batch_norm_rows_backward)
BACKPASS_KERNEL(BatchNormRowsBackwardWeight, batch_norm_rows_backward_weight)

}  // namespace backpass::BACKPASS_ISA
