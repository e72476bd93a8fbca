// Group normalisation of (B, L, G, P), sample by sample, channels in lanes: sums over L by channel, then by group in double. The
// variance takes a second pass over the sample, for accuracy.
#include "../ops/group_norm.hpp"
#include "channels.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr Index kSpan = 512;  // channels whose sums are kept at a time

// Some whole groups of few channels; or one group of many, of which a stretch at a time.
struct Groups {
    Index first, count, channels;  // channels: of one group

    BP_INLINE Index begin() const { return first * channels; }
    BP_INLINE Index end() const { return (first + count) * channels; }
    // How many channels of each group a stretch of n channels has.
    BP_INLINE Index each(Index n) const { return n / count; }
};

// f(groups) for all groups of a sample.
template <class F>
BP_INLINE void each_groups(Index groups, Index channels, F f) {
    for (Index g = 0; g < groups;) {
        Index count = channels >= kSpan ? 1 : channels == 0 ? kSpan : kSpan / channels;
        if (count > groups - g) count = groups - g;
        f(Groups{g, count, channels});
        g += count;
    }
}

// f(c, n) for the stretches of their channels: n channels at c.
template <class F>
BP_INLINE void each_stretch(Groups groups, F f) {
    for (Index c = groups.begin(); c < groups.end(); c += kSpan)
        f(c, groups.end() - c < kSpan ? groups.end() - c : kSpan);
}

// to[i] = of the group to which channel i of a stretch belongs.
template <class T>
BP_INLINE void spread(T* to, const T* of, Groups groups, Index n) {
    for (Index g = 0; g < groups.count; ++g)
        for (Index i = 0; i < groups.each(n); ++i) *to++ = of[g];
}

// total[g] += Σ of(i) over the channels of each group in a stretch.
template <class F>
BP_INLINE void add_by_group(double* total, Groups groups, Index n, F of) {
    Index i = 0;
    for (Index g = 0; g < groups.count; ++g)
        for (const Index end = i + groups.each(n); i < end; ++i) total[g] += double(of(i));
}

// Σ_L f(i, c, n) by channel: n channels at c of a stretch, of which one row begins at element i.
template <class T, class F>
BP_INLINE void sum_stretch(T* sums, Index length, Index stride, Index begin, Index n, F f) {
    each_channel_group<T>({0, n}, [&](auto vectors, Index c, int lanes) BP_INLINED {
        constexpr int K = decltype(vectors)::count, w = width<T>;
        vec<T> total[K] = {};
        sum_rows_apart<T, K>({0, length}, total, [&](Index l, vec<T>* part) BP_INLINED {
            for (int k = 0; k < K; ++k) part[k] += f(l * stride + begin + c + k * w, c + k * w, lanes);
        });
        for (int k = 0; k < K; ++k) store_some(sums + c + k * w, total[k], lanes);
    });
}

// y = (x - mean) inv_std weight + bias over the L places and P channels of a group
template <class T>
BP_INLINE void normalise(const GroupNormForward<T>& op, Index sample, Groups groups) {
    const Index length = op.x.shape[1], stride = op.x.shape[2] * op.x.shape[3];
    const double count = double(length > 0 && groups.channels > 0 ? length * groups.channels : 1);
    const T* x = op.x.data + sample * length * stride;
    T* y = op.y.data + sample * length * stride;
    double total[kSpan] = {}, squares[kSpan] = {};
    T sums[kSpan], mean[kSpan], inv_std[kSpan], middle[kSpan], scale[kSpan];
    each_stretch(groups, [&](Index begin, Index n) BP_INLINED {
        sum_stretch(sums, length, stride, begin, n,
                    [&](Index i, Index, int lanes) BP_INLINED { return load_some(x + i, lanes); });
        add_by_group(total, groups, n, [&](Index i) BP_INLINED { return sums[i]; });
    });
    for (Index g = 0; g < groups.count; ++g) mean[g] = T(total[g] / count);
    each_stretch(groups, [&](Index begin, Index n) BP_INLINED {
        spread(middle, mean, groups, n);
        sum_stretch(sums, length, stride, begin, n, [&](Index i, Index c, int lanes) BP_INLINED {
            const vec<T> d = load_some(x + i, lanes) - load_some(middle + c, lanes);
            return d * d;
        });
        add_by_group(squares, groups, n, [&](Index i) BP_INLINED { return sums[i]; });
    });
    for (Index g = 0; g < groups.count; ++g) {
        inv_std[g] = T(1 / __builtin_sqrt(squares[g] / count + op.eps));
        op.mean.data[sample * op.x.shape[2] + groups.first + g] = mean[g];
        op.inv_std.data[sample * op.x.shape[2] + groups.first + g] = inv_std[g];
    }
    each_stretch(groups, [&](Index begin, Index n) BP_INLINED {
        spread(middle, mean, groups, n), spread(scale, inv_std, groups, n);
        each_channel_group<T>({0, n}, [&](auto vectors, Index c, int lanes) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            vec<T> m[K], s[K], t[K];
            for (int k = 0; k < K; ++k) {
                m[k] = load_some(middle + c + k * w, lanes);
                s[k] = load_some(scale + c + k * w, lanes) *
                       load_or(T(1), op.weight.data, begin + c + k * w, lanes);
                t[k] = load_or(T(0), op.bias.data, begin + c + k * w, lanes);
            }
            for (Index l = 0; l < length; ++l)
                for (int k = 0; k < K; ++k) {
                    const Index i = l * stride + begin + c + k * w;
                    store_some(y + i, (load_some(x + i, lanes) - m[k]) * s[k] + t[k], lanes);
                }
        });
    });
}

template <class T>
void group_norm_forward(const GroupNormForward<T>& op, Range range, Scratch) {
    const Range samples = covered(range, samples_per_task(op.x), op.x.shape[0]);
    for (Index b = samples.begin; b < samples.end; ++b)
        each_groups(op.x.shape[2], op.x.shape[3],
                    [&](Groups groups) BP_INLINED { normalise(op, b, groups); });
}

// slopes = Σ_L dy x̂, shifts = Σ_L dy; g = dy weight; dx = inv_std (g - mean(g) - x̂ mean(g x̂))
template <class T>
BP_INLINE void differentiate(const GroupNormBackward<T>& op, Index sample, Groups groups) {
    const Index length = op.x.shape[1], stride = op.x.shape[2] * op.x.shape[3];
    const double count = double(length > 0 && groups.channels > 0 ? length * groups.channels : 1);
    const T *x = op.x.data + sample * length * stride, *dy = op.dy.data + sample * length * stride;
    const T *weight = op.weight.data, *mean = op.mean.data + sample * op.x.shape[2] + groups.first,
            *inv_std = op.inv_std.data + sample * op.x.shape[2] + groups.first;
    T *slopes = op.slopes.data + sample * stride, *shifts = op.shifts.data + sample * stride;
    double of_slopes[kSpan] = {}, of_shifts[kSpan] = {};
    T middle[kSpan], spreads[kSpan], slope[kSpan], shift[kSpan], by_slope[kSpan], by_shift[kSpan];
    const auto normal = [&](Index i, Index c, int lanes) BP_INLINED {
        return (load_some(x + i, lanes) - load_some(middle + c, lanes)) * load_some(spreads + c, lanes);
    };
    each_stretch(groups, [&](Index begin, Index n) BP_INLINED {
        spread(middle, mean, groups, n), spread(spreads, inv_std, groups, n);
        sum_stretch(slopes + begin, length, stride, begin, n, [&](Index i, Index c, int lanes) BP_INLINED {
            return load_some(dy + i, lanes) * normal(i, c, lanes);
        });
        sum_stretch(shifts + begin, length, stride, begin, n,
                    [&](Index i, Index, int lanes) BP_INLINED { return load_some(dy + i, lanes); });
        const auto weighed = [&](const T* sums) BP_INLINED {
            return [=](Index i) BP_INLINED {
                return weight ? double(weight[begin + i]) * double(sums[begin + i]) : double(sums[begin + i]);
            };
        };
        add_by_group(of_slopes, groups, n, weighed(slopes));
        add_by_group(of_shifts, groups, n, weighed(shifts));
    });
    if (!op.dx) return;
    T* dx = op.dx.data + sample * length * stride;
    for (Index g = 0; g < groups.count; ++g)
        slope[g] = T(of_slopes[g] / count), shift[g] = T(of_shifts[g] / count);
    each_stretch(groups, [&](Index begin, Index n) BP_INLINED {
        spread(middle, mean, groups, n), spread(spreads, inv_std, groups, n);
        spread(by_slope, slope, groups, n), spread(by_shift, shift, groups, n);
        each_channel_group<T>({0, n}, [&](auto vectors, Index c, int lanes) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            for (int k = 0; k < K; ++k) {
                const Index at = c + k * w;
                const vec<T> factor = load_or(T(1), weight, begin + at, lanes),
                             m = load_some(by_shift + at, lanes), s = load_some(by_slope + at, lanes),
                             inv = load_some(spreads + at, lanes);
                for (Index l = 0; l < length; ++l) {
                    const Index i = l * stride + begin + at;
                    const vec<T> g = load_some(dy + i, lanes) * factor;
                    store_some(dx + i, inv * (g - (m + normal(i, at, lanes) * s)), lanes);
                }
            }
        });
    });
}

template <class T>
void group_norm_backward(const GroupNormBackward<T>& op, Range range, Scratch) {
    const Range samples = covered(range, samples_per_task(op.x), op.x.shape[0]);
    for (Index b = samples.begin; b < samples.end; ++b)
        each_groups(op.x.shape[2], op.x.shape[3],
                    [&](Groups groups) BP_INLINED { differentiate(op, b, groups); });
}

// dweight = Σ_B slopes, dbias = Σ_B shifts
template <class T>
void group_norm_backward_weight(const GroupNormBackwardWeight<T>& op, Range range, Scratch) {
    const Index channels = op.channels();
    each_channel_group<T>(
        covered(range, kChannelPiece, channels), [&](auto vectors, Index c, int n) BP_INLINED {
            constexpr int K = decltype(vectors)::count, w = width<T>;
            vec<T> sums[2 * K] = {};
            sum_rows<T>(op.slopes.shape[0], kRowsOfSum, sums, [&](Index b, vec<T>* part) BP_INLINED {
                for (int k = 0; k < K; ++k) {
                    part[k] += load_some(op.slopes.data + b * channels + c + k * w, n);
                    part[K + k] += load_some(op.shifts.data + b * channels + c + k * w, n);
                }
            });
            for (int k = 0; k < K; ++k) {
                if (op.dweight) store_some(op.dweight.data + c + k * w, sums[k], n);
                if (op.dbias) store_some(op.dbias.data + c + k * w, sums[K + k], n);
            }
        });
}

}  // namespace

BACKPASS_KERNEL(GroupNormForward, group_norm_forward)
BACKPASS_KERNEL(GroupNormBackward, group_norm_backward)
BACKPASS_KERNEL(GroupNormBackwardWeight, group_norm_backward_weight)

}  // namespace backpass::BACKPASS_ISA
