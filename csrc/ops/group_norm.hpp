// Group normalisation of (B, L, G, P): G groups of P channels, which lie last.
#pragma once
#include "fields.hpp"

namespace backpass {

inline constexpr std::int64_t kGroupPiece = 8192;  // elements of one task, in whole samples

// Is a of shape (b, l, g, p) without those that are negative? An absent array agrees.
template <class A>
bool has_shape(const A& a, std::int64_t g, std::int64_t p, std::int64_t b = -1) {
    if (!a) return true;
    const int lead = b >= 0, tail = p >= 0;
    return a.ndim == lead + 1 + tail && (!lead || a.shape[0] == b) && a.shape[lead] == g &&
           (!tail || a.shape[lead + 1] == p);
}

// Tasks of whole samples; none where there are no groups, however many samples there are of nothing.
template <class X>
BP_INLINE std::int64_t samples_per_task(const X& x) {
    return rows_of(kGroupPiece, x.size() > 0 ? x.size() / x.shape[0] : 0);
}
template <class X>
BP_INLINE std::int64_t sample_tasks(const X& x) {
    return x.shape[2] == 0 ? 0 : pieces(x.shape[0], samples_per_task(x));
}

template <class T>
struct GroupNormForward {
    static constexpr const char* name = "group_norm_forward";
    Tensor<const T> x, weight, bias;
    Tensor<T> y, mean, inv_std;
    double eps = 1e-5;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("bias", bias, optional);
        field("y", y);
        field("mean", mean);
        field("inv_std", inv_std);
        field("eps", eps);
    }
    const char* invalid() const {
        if (x.ndim != 4 || !same_shape(x, y)) return "x and y must be (B, L, G, P)";
        if (!has_shape(weight, x.shape[2], x.shape[3]) || !has_shape(bias, x.shape[2], x.shape[3]))
            return "weight and bias must be (G, P)";
        return has_shape(mean, x.shape[2], -1, x.shape[0]) && has_shape(inv_std, x.shape[2], -1, x.shape[0])
                   ? nullptr
                   : "mean and inv_std must be (B, G)";
    }
    double flops() const { return 8.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t tasks() const { return sample_tasks(x); }
};

template <class T>
struct GroupNormBackward {
    static constexpr const char* name = "group_norm_backward";
    Tensor<const T> x, weight, mean, inv_std, dy;
    Tensor<T> dx, slopes, shifts;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("mean", mean);
        field("inv_std", inv_std);
        field("dy", dy);
        field("dx", dx, optional);
        field("slopes", slopes);
        field("shifts", shifts);
    }
    const char* invalid() const {
        if (x.ndim != 4 || !same_shape(x, dy) || !same_shape(x, dx))
            return "x, dy and dx must be (B, L, G, P)";
        const std::int64_t samples = x.shape[0], groups = x.shape[2], channels = x.shape[3];
        if (!has_shape(weight, groups, channels)) return "weight must be (G, P)";
        if (!has_shape(slopes, groups, channels, samples) || !has_shape(shifts, groups, channels, samples))
            return "slopes and shifts must be (B, G, P)";
        return has_shape(mean, groups, -1, samples) && has_shape(inv_std, groups, -1, samples)
                   ? nullptr
                   : "mean and inv_std must be (B, G)";
    }
    double flops() const { return 12.0 * double(x.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t tasks() const { return sample_tasks(x); }
};

// dweight = Σ slopes, dbias = Σ shifts over the samples: tasks by channels
template <class T>
struct GroupNormBackwardWeight {
    static constexpr const char* name = "group_norm_backward_weight";
    Tensor<const T> slopes, shifts;
    Tensor<T> dweight, dbias;

    template <class Visit>
    void fields(Visit&& field) {
        field("slopes", slopes);
        field("shifts", shifts);
        field("dweight", dweight, optional);
        field("dbias", dbias, optional);
    }
    const char* invalid() const {
        if (slopes.ndim != 3 || !same_shape(slopes, shifts)) return "slopes and shifts must be (B, G, P)";
        return has_shape(dweight, slopes.shape[1], slopes.shape[2]) &&
                       has_shape(dbias, slopes.shape[1], slopes.shape[2])
                   ? nullptr
                   : "dweight and dbias must be (G, P)";
    }
    double flops() const { return 2.0 * double(slopes.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(slopes.size()); }
    BP_INLINE std::int64_t channels() const { return dweight ? dweight.size() : dbias ? dbias.size() : 0; }
    BP_INLINE std::int64_t tasks() const { return pieces(channels(), kChannelPiece); }
};

using GroupNormOps = BothDtypes<GroupNormForward, GroupNormBackward, GroupNormBackwardWeight>;

}  // namespace backpass
