// Matrix products of tensors, over any leading dimensions.
#pragma once
#include "linear.hpp"

namespace backpass {

// Products of matrices (..., M, K) and (..., K, N). The last two dimensions are those of the matrices.
template <class A, class B, class Y>
bool multiplies(const A& a, const B& b, const Y& y) {
    if (a.ndim < 2 || b.ndim != a.ndim || y.ndim != a.ndim) return false;
    const int rows = a.ndim - 2, cols = a.ndim - 1;
    for (int i = 0; i < rows; ++i)
        if (a.shape[i] != b.shape[i] || a.shape[i] != y.shape[i]) return false;
    return a.shape[cols] == b.shape[rows] && y.shape[rows] == a.shape[rows] && y.shape[cols] == b.shape[cols];
}
// The number of matrices.
template <class A>
BP_INLINE std::int64_t matrices(const A& a) {
    std::int64_t n = 1;
    for (int i = 0; i + 2 < a.ndim; ++i) n *= a.shape[i];
    return n;
}
// How each matrix of a product is cut. One that is absent or empty has no tasks: there may be 2^40 matrices of no elements.
template <class A>
BP_INLINE Grid grid_of(const A& product) {
    if (!product || product.size() == 0) return Grid{};
    return Grid::over(product.shape[product.ndim - 2], product.shape[product.ndim - 1]);
}

// The last two dimensions of a tensor as one matrix after another: strides of rows and columns, one of which is 1.
struct Layout {
    std::int64_t rows = 0, cols = 0, row = 0, col = 0;

    template <class A>
    BP_INLINE static Layout of(const A& a) {
        Layout m{a.shape[a.ndim - 2], a.shape[a.ndim - 1], a.stride[a.ndim - 2], a.stride[a.ndim - 1]};
        // The stride of one row or column does not matter.
        if (m.cols <= 1 && m.row != 1) m.col = 1;
        if (m.rows <= 1 && m.col != 1) m.row = 1;
        if (m.cols <= 1 && m.row == 1) m.col = m.rows;
        if (m.rows <= 1 && m.col == 1) m.row = m.cols;
        return m;
    }
    BP_INLINE bool in_rows() const { return col == 1; }
    // Whether gemm can read the matrices of a tensor.
    template <class... A>
    static bool valid(const A&... tensors) {
        const auto fits = [](const auto& a) {
            const Layout m = of(a);
            return a.size() == 0 || (m.col == 1 && m.row >= m.cols) || (m.row == 1 && m.col >= m.rows);
        };
        return (fits(tensors) && ...);
    }
};

// y = a b
template <class T>
struct MatmulForward {
    static constexpr const char* name = "matmul_forward";
    Strided<const T> a, b;
    Tensor<T> y;

    template <class Visit>
    void fields(Visit&& field) {
        field("a", a);
        field("b", b);
        field("y", y);
    }
    const char* invalid() const {
        if (!multiplies(a, b, y)) return "a, b and y must be (..., M, K), (..., K, N) and (..., M, N)";
        return Layout::valid(a, b) ? nullptr : "a and b must lie in rows or in columns";
    }
    double flops() const { return 2.0 * double(y.size()) * double(a.shape[a.ndim - 1]); }
    double bytes() const { return double(sizeof(T)) * double(a.size() + b.size() + y.size()); }
    BP_INLINE Grid grid() const { return grid_of(y); }
    std::int64_t tasks() const { return matrices(y) * grid().tasks(); }
    std::int64_t together() const { return grid().together(); }
};

// da = dy bᵀ, db = aᵀ dy. Tasks: those of da, then those of db.
template <class T>
struct MatmulBackward {
    static constexpr const char* name = "matmul_backward";
    Strided<const T> a, b, dy;
    Tensor<T> da, db;

    template <class Visit>
    void fields(Visit&& field) {
        field("a", a);
        field("b", b);
        field("dy", dy);
        field("da", da, optional);
        field("db", db, optional);
    }
    const char* invalid() const {
        if (!multiplies(a, b, dy) || !same_shape(a, da) || !same_shape(b, db))
            return "a, b and dy must be (..., M, K), (..., K, N) and (..., M, N), da and db like a and b";
        return Layout::valid(a, b, dy) ? nullptr : "a, b and dy must lie in rows or in columns";
    }
    double flops() const {
        return 2.0 * (bool(da) + bool(db)) * double(dy.size()) * double(a.shape[a.ndim - 1]);
    }
    double bytes() const { return double(sizeof(T)) * double(2 * a.size() + 2 * b.size() + dy.size()); }
    BP_INLINE Grid a_grid() const { return grid_of(da); }
    BP_INLINE Grid b_grid() const { return grid_of(db); }
    BP_INLINE std::int64_t a_tasks() const { return matrices(a) * a_grid().tasks(); }
    std::int64_t tasks() const { return a_tasks() + matrices(b) * b_grid().tasks(); }
    std::int64_t together() const {
        const std::int64_t a = a_grid().together(), b = b_grid().together();
        return a > b ? a : b;
    }
};

using MatmulOps = BothDtypes<MatmulForward, MatmulBackward>;

}  // namespace backpass
