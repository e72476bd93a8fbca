// Batch normalisation of (B, C, L).
#pragma once
#include "fields.hpp"

namespace backpass {

// Are x and a both (B, C, L)? An absent a agrees.
template <class X, class A>
bool have_channels(const X& x, const A& a) {
    return x.ndim == 3 && (!a || (a.ndim == 3 && a.shape[1] == x.shape[1] && same_size(x, a)));
}

template <class T>
struct BatchNormForward {
    static constexpr const char* name = "batch_norm_forward";
    Tensor<const T> x, weight, bias;
    Tensor<T> y, mean, inv_std, var;
    double eps = 1e-5;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("bias", bias, optional);
        field("y", y);
        field("mean", mean);
        field("inv_std", inv_std);
        field("var", var, optional);
        field("eps", eps);
    }
    const char* invalid() const {
        if (!have_channels(x, y)) return "x and y must be (B, C, L)";
        return all_have_size(x.shape[1], weight, bias, mean, inv_std, var)
                   ? nullptr
                   : "weight, bias, mean, inv_std and var must be (C,)";
    }
    double flops() const { return 8.0 * double(x.size()); }
    double bytes() const { return 4.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t tasks() const { return pieces(x.shape[1], kChannelPiece); }
};

// Running statistics. One task: the work is a few numbers a channel, once a step.
template <class T>
struct BatchNormTrack {
    static constexpr const char* name = "batch_norm_track";
    Tensor<const T> mean, var;
    Tensor<T> running_mean, running_var;
    Tensor<std::int64_t> batches;
    std::int64_t count = 1;
    double momentum = 0.1;

    template <class Visit>
    void fields(Visit&& field) {
        field("mean", mean);
        field("var", var);
        field("running_mean", running_mean);
        field("running_var", running_var);
        field("batches", batches);
        field("count", count);
        field("momentum", momentum);
    }
    const char* invalid() const {
        return all_have_size(mean.size(), var, running_mean, running_var) && has_size(batches, 1)
                   ? nullptr
                   : "mean, var, running_mean and running_var must be (C,), batches (1,)";
    }
    double flops() const { return 8.0 * double(mean.size()); }
    double bytes() const { return 6.0 * sizeof(T) * double(mean.size()); }
    BP_INLINE std::int64_t tasks() const { return 1; }
};

// Tasks: pieces of the rows, and within these pieces of the channels.
template <class T>
struct BatchNormInference {
    static constexpr const char* name = "batch_norm_inference";
    Tensor<const T> x, weight, bias, running_mean, running_var;
    Tensor<T> y;
    double eps = 1e-5;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("bias", bias, optional);
        field("running_mean", running_mean);
        field("running_var", running_var);
        field("y", y);
        field("eps", eps);
    }
    const char* invalid() const {
        if (!have_channels(x, y)) return "x and y must be (B, C, L)";
        return all_have_size(x.shape[1], weight, bias, running_mean, running_var)
                   ? nullptr
                   : "weight, bias, running_mean and running_var must be (C,)";
    }
    double flops() const { return 4.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t channel_tasks() const { return pieces(x.shape[1], kChannelPiece); }
    BP_INLINE std::int64_t rows_per_task() const {
        return rows_of(kElementPiece, x.size() > 0 ? x.size() / x.shape[0] : 0);
    }
    BP_INLINE std::int64_t tasks() const {
        return x.size() > 0 ? channel_tasks() * pieces(x.shape[0], rows_per_task()) : 0;
    }
};

template <class T>
struct BatchNormBackward {
    static constexpr const char* name = "batch_norm_backward";
    Tensor<const T> x, weight, mean, inv_std, dy;
    Tensor<T> dx, dweight, dbias;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("mean", mean);
        field("inv_std", inv_std);
        field("dy", dy);
        field("dx", dx, optional);
        field("dweight", dweight, optional);
        field("dbias", dbias, optional);
    }
    const char* invalid() const {
        if (!have_channels(x, dy) || !have_channels(x, dx)) return "x, dy and dx must be (B, C, L)";
        return all_have_size(x.shape[1], weight, mean, inv_std, dweight, dbias)
                   ? nullptr
                   : "weight, mean, inv_std, dweight and dbias must be (C,)";
    }
    double flops() const { return 12.0 * double(x.size()); }
    double bytes() const { return 5.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t tasks() const { return pieces(x.shape[1], kChannelPiece); }
};

using BatchNormOps = BothDtypes<BatchNormForward, BatchNormTrack, BatchNormInference, BatchNormBackward>;

}  // namespace backpass
