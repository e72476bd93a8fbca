// Softmax and its logarithm over the last dimension.
#pragma once
#include "fields.hpp"

namespace backpass {

inline constexpr std::int64_t kSoftmaxPiece = 4096;  // elements of one task, in whole rows

template <class T>
struct SoftmaxForward {
    static constexpr const char* name = "softmax_forward";
    Tensor<const T> x;
    Tensor<T> y;
    bool log = false;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
        field("log", log);
    }
    const char* invalid() const {
        return x.ndim >= 1 && is_matrix(y, x.rows(), x.cols()) ? nullptr : "x and y must be (..., C)";
    }
    double flops() const { return 20.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kSoftmaxPiece, x.cols()); }
    BP_INLINE std::int64_t tasks() const { return x.size() == 0 ? 0 : pieces(x.rows(), rows_per_task()); }
};

template <class T>
struct SoftmaxBackward {
    static constexpr const char* name = "softmax_backward";
    Tensor<const T> y, dy;
    Tensor<T> dx;
    bool log = false;

    template <class Visit>
    void fields(Visit&& field) {
        field("y", y);
        field("dy", dy);
        field("dx", dx);
        field("log", log);
    }
    const char* invalid() const {
        return y.ndim >= 1 && is_matrix(dy, y.rows(), y.cols()) && is_matrix(dx, y.rows(), y.cols())
                   ? nullptr
                   : "y, dy and dx must be (..., C)";
    }
    double flops() const { return 6.0 * double(y.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(y.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kSoftmaxPiece, y.cols()); }
    BP_INLINE std::int64_t tasks() const { return y.size() == 0 ? 0 : pieces(y.rows(), rows_per_task()); }
};

using SoftmaxOps = BothDtypes<SoftmaxForward, SoftmaxBackward>;

}  // namespace backpass
