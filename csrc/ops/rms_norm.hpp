// Normalisation of (..., C) by the root mean square.
#pragma once
#include "layer_norm.hpp"

namespace backpass {

template <class T>
struct RMSNormForward {
    static constexpr const char* name = "rms_norm_forward";
    Tensor<const T> x, weight;
    Tensor<T> y, inv_rms;
    double eps = 1e-6;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("y", y);
        field("inv_rms", inv_rms);
        field("eps", eps);
    }
    const char* invalid() const {
        if (x.ndim < 1 || !is_matrix(y, x.rows(), x.cols())) return "x and y must be (..., C)";
        if (!has_size(weight, x.cols())) return "weight must be (C,)";
        return has_size(inv_rms, x.rows()) ? nullptr : "inv_rms must be (...)";
    }
    double flops() const { return 4.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kNormPiece, x.cols()); }
    BP_INLINE std::int64_t tasks() const { return pieces(x.rows(), rows_per_task()); }
};

// Tasks: those of dx, by rows; then those of dweight, by columns.
template <class T>
struct RMSNormBackward {
    static constexpr const char* name = "rms_norm_backward";
    Tensor<const T> x, weight, inv_rms, dy;
    Tensor<T> dx, dweight;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("inv_rms", inv_rms);
        field("dy", dy);
        field("dx", dx, optional);
        field("dweight", dweight, optional);
    }
    const char* invalid() const {
        if (x.ndim < 1 || !is_matrix(dy, x.rows(), x.cols()) || !is_matrix(dx, x.rows(), x.cols()))
            return "x, dy and dx must be (..., C)";
        if (!all_have_size(x.cols(), weight, dweight)) return "weight and dweight must be (C,)";
        return has_size(inv_rms, x.rows()) ? nullptr : "inv_rms must be (...)";
    }
    double flops() const { return 10.0 * double(x.size()); }
    double bytes() const { return 5.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kNormPiece, x.cols()); }
    BP_INLINE std::int64_t input_tasks() const {
        return dx && x.size() > 0 ? pieces(x.rows(), rows_per_task()) : 0;
    }
    BP_INLINE std::int64_t weight_tasks() const { return dweight ? pieces(x.cols(), kChannelPiece) : 0; }
    BP_INLINE std::int64_t tasks() const { return input_tasks() + weight_tasks(); }
};

using RMSNormOps = BothDtypes<RMSNormForward, RMSNormBackward>;

}  // namespace backpass
