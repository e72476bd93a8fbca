// Layer normalisation of (..., C).
#pragma once
#include <string_view>

#include "fields.hpp"

namespace backpass {

inline constexpr std::int64_t kNormPiece = 4096;  // elements of one task, in whole rows

template <class T>
struct LayerNormForward {
    static constexpr const char* name = "layer_norm_forward";
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
        if (x.ndim < 1 || !is_matrix(y, x.rows(), x.cols())) return "x and y must be (..., C)";
        if (!all_have_size(x.cols(), weight, bias)) return "weight and bias must be (C,)";
        return all_have_size(x.rows(), mean, inv_std) ? nullptr : "mean and inv_std must be (...)";
    }
    double flops() const { return 8.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kNormPiece, x.cols()); }
    BP_INLINE std::int64_t tasks() const { return pieces(x.rows(), rows_per_task()); }
    std::int64_t rows() const { return shared_rows(x, y, mean, inv_std); }
    static constexpr bool is_of_rows(std::string_view name) { return name != "weight" && name != "bias"; }
};

// Tasks: those of dx, by rows; then those of dweight and dbias, by columns.
template <class T>
struct LayerNormBackward {
    static constexpr const char* name = "layer_norm_backward";
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
        if (x.ndim < 1 || !is_matrix(dy, x.rows(), x.cols()) || !is_matrix(dx, x.rows(), x.cols()))
            return "x, dy and dx must be (..., C)";
        if (!all_have_size(x.cols(), weight, dweight, dbias)) return "weight, dweight and dbias must be (C,)";
        return all_have_size(x.rows(), mean, inv_std) ? nullptr : "mean and inv_std must be (...)";
    }
    double flops() const { return 16.0 * double(x.size()); }
    double bytes() const { return 5.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kNormPiece, x.cols()); }
    BP_INLINE std::int64_t input_tasks() const {
        return dx && x.size() > 0 ? pieces(x.rows(), rows_per_task()) : 0;
    }
    BP_INLINE std::int64_t weight_tasks() const {
        return dweight || dbias ? pieces(x.cols(), kChannelPiece) : 0;
    }
    BP_INLINE std::int64_t tasks() const { return input_tasks() + weight_tasks(); }
};

using LayerNormOps = BothDtypes<LayerNormForward, LayerNormBackward>;

}  // namespace backpass
