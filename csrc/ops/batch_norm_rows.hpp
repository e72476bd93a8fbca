// Batch normalisation of (R, C), many rows of few channels: tasks are parts of the rows.
#pragma once
#include "fields.hpp"

namespace backpass {

// How a matrix (R, C) is cut into the parts of (P, C): ⌈R / P⌉ rows each, the last ones fewer or none.
struct RowParts {
    std::int64_t rows, parts;

    BP_INLINE Range operator[](std::int64_t p) const {
        const std::int64_t size = parts > 1 ? (rows + parts - 1) / parts : rows;
        const std::int64_t begin = p * size < rows ? p * size : rows;
        return {begin, begin + size < rows ? begin + size : rows};
    }
};

template <class A, class B>
bool are_parts(const A& x, const B& a, const B& b) {
    return x.ndim == 2 && a.ndim == 2 && a.shape[1] == x.shape[1] && same_shape(a, b);
}

// One task a part; one in any case, which writes what all share.
template <class X, class P>
BP_INLINE std::int64_t part_tasks(const X& x, const P& parts) {
    return x.shape[1] == 0 ? 0 : parts.shape[0] > 1 ? parts.shape[0] : 1;
}

template <class T>
struct BatchNormMoments {
    static constexpr const char* name = "batch_norm_moments";
    Tensor<const T> x;
    Tensor<double> means, squares;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("means", means);
        field("squares", squares);
    }
    const char* invalid() const {
        return are_parts(x, means, squares) ? nullptr : "x must be (R, C), means and squares (P, C)";
    }
    double flops() const { return 5.0 * double(x.size()); }
    double bytes() const { return sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t tasks() const { return x.shape[1] == 0 ? 0 : means.shape[0]; }
};

template <class T>
struct BatchNormRows {
    static constexpr const char* name = "batch_norm_rows";
    Tensor<const T> x, weight, bias, other;
    Tensor<const double> means, squares;
    Tensor<T> y, slope, mean, inv_std, var;
    double eps = 1e-5;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("bias", bias, optional);
        field("means", means);
        field("squares", squares);
        field("other", other, optional);
        field("y", y);
        field("slope", slope, optional);
        field("mean", mean);
        field("inv_std", inv_std);
        field("var", var, optional);
        field("eps", eps);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
    }
    const char* invalid() const {
        if (!are_parts(x, means, squares) || !same_shape(x, y) || !same_shape(x, slope) ||
            !same_shape(x, other))
            return "x, other, y and slope must be (R, C), means and squares (P, C)";
        return all_have_size(x.shape[1], weight, bias, mean, inv_std, var)
                   ? nullptr
                   : "weight, bias, mean, inv_std and var must be (C,)";
    }
    double flops() const { return 3.0 * double(x.size()); }
    double bytes() const { return (other ? 3.0 : 2.0) * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t tasks() const { return part_tasks(x, means); }
};

template <class T>
struct BatchNormRowsBackward {
    static constexpr const char* name = "batch_norm_rows_backward";
    Tensor<const T> x, mean, inv_std, dy;
    Tensor<double> slopes, shifts;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("mean", mean);
        field("inv_std", inv_std);
        field("dy", dy);
        field("slopes", slopes);
        field("shifts", shifts);
    }
    const char* invalid() const {
        if (!are_parts(x, slopes, shifts) || !same_shape(x, dy))
            return "x and dy must be (R, C), slopes and shifts (P, C)";
        return all_have_size(x.shape[1], mean, inv_std) ? nullptr : "mean and inv_std must be (C,)";
    }
    double flops() const { return 5.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t tasks() const { return x.shape[1] == 0 ? 0 : slopes.shape[0]; }
};

template <class T>
struct BatchNormRowsBackwardWeight {
    static constexpr const char* name = "batch_norm_rows_backward_weight";
    Tensor<const T> x, weight, mean, inv_std, dy;
    Tensor<const double> slopes, shifts;
    Tensor<T> dx, dweight, dbias;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight, optional);
        field("mean", mean);
        field("inv_std", inv_std);
        field("dy", dy);
        field("slopes", slopes);
        field("shifts", shifts);
        field("dx", dx, optional);
        field("dweight", dweight, optional);
        field("dbias", dbias, optional);
    }
    const char* invalid() const {
        if (!are_parts(x, slopes, shifts) || !same_shape(x, dy) || !same_shape(x, dx))
            return "x, dy and dx must be (R, C), slopes and shifts (P, C)";
        return all_have_size(x.shape[1], weight, mean, inv_std, dweight, dbias)
                   ? nullptr
                   : "weight, mean, inv_std, dweight and dbias must be (C,)";
    }
    double flops() const { return 6.0 * double(x.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(x.size()); }
    BP_INLINE std::int64_t tasks() const { return part_tasks(x, slopes); }
};

using BatchNormRowsOps =
    BothDtypes<BatchNormMoments, BatchNormRows, BatchNormRowsBackward, BatchNormRowsBackwardWeight>;

}  // namespace backpass
