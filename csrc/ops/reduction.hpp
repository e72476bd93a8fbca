// Reductions over the last dimension.
#pragma once
#include "fields.hpp"

namespace backpass {

// How the outputs of a reduction over `length` elements are cut.
BP_INLINE std::int64_t outputs_of_task(std::int64_t length) { return rows_of(kElementPiece, length); }

// Whether x is (..., R) for y (...).
template <class X, class Y>
bool reduces(const X& x, const Y& y) {
    if (x.ndim != y.ndim + 1) return false;
    for (int i = 0; i < y.ndim; ++i)
        if (x.shape[i] != y.shape[i]) return false;
    return true;
}

// y = scale Σ_r x_r
template <class T>
struct ReduceSum {
    static constexpr const char* name = "reduce_sum";
    Strided<const T> x;
    Tensor<T> y;
    double scale = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
        field("scale", scale);
    }
    const char* invalid() const { return reduces(x, y) ? nullptr : "x must be (..., R) for y (...)"; }
    double flops() const { return double(x.size()); }
    double bytes() const { return double(sizeof(T)) * double(x.size()); }
    std::int64_t tasks() const { return pieces(y.size(), outputs_of_task(x.shape[x.ndim - 1])); }
};

// y = max_r x_r, the first of the largest
template <class T>
struct MaxForward {
    static constexpr const char* name = "max_forward";
    Strided<const T> x;
    Tensor<T> y;
    Tensor<std::int64_t> largest;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
        field("largest", largest);
    }
    const char* invalid() const {
        return reduces(x, y) && same_size(y, largest) ? nullptr
                                                      : "x must be (..., R) for y and largest (...)";
    }
    double flops() const { return double(x.size()); }
    double bytes() const { return double(sizeof(T)) * double(x.size()); }
    std::int64_t tasks() const { return pieces(y.size(), outputs_of_task(x.shape[x.ndim - 1])); }
};

// dx = dy at the place of the largest, else 0
template <class T>
struct MaxBackward {
    static constexpr const char* name = "max_backward";
    Tensor<const std::int64_t> largest;
    Strided<const T> dy;
    Tensor<T> dx;

    template <class Visit>
    void fields(Visit&& field) {
        field("largest", largest);
        field("dy", dy);
        field("dx", dx);
    }
    const char* invalid() const {
        return reduces(dx, dy) && same_size(dy, largest) ? nullptr
                                                         : "dx must be (..., R) for largest and dy (...)";
    }
    double flops() const { return double(dx.size()); }
    double bytes() const { return double(sizeof(T)) * double(dx.size()); }
    std::int64_t tasks() const { return pieces(dy.size(), outputs_of_task(dx.cols())); }
};

using ReductionOps = BothDtypes<ReduceSum, MaxForward, MaxBackward>;

}  // namespace backpass
