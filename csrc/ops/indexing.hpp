// Elements chosen by index: rows of a table, and elements along the last dimension. An index outside gives NaN.
#pragma once
#include "fields.hpp"

namespace backpass {

// Whether a and b have the same dimensions in front of their last `inner_a` and `inner_b`.
template <class A, class B>
bool same_lead(const A& a, int inner_a, const B& b, int inner_b) {
    const int lead = a.ndim - inner_a;
    if (lead < 0 || b.ndim - inner_b != lead) return false;
    for (int i = 0; i < lead; ++i)
        if (a.shape[i] != b.shape[i]) return false;
    return true;
}

// y_i = weight[index_i]
template <class T>
struct EmbeddingForward {
    static constexpr const char* name = "embedding_forward";
    Tensor<const T> weight;
    Strided<const std::int64_t> index;
    Tensor<T> y;
    std::int64_t padding_idx = -1;

    template <class Visit>
    void fields(Visit&& field) {
        field("weight", weight);
        field("index", index);
        field("y", y);
        field("padding_idx", padding_idx);
    }
    const char* invalid() const {
        return weight.ndim == 2 && same_lead(y, 1, index, 0) && y.cols() == weight.cols()
                   ? nullptr
                   : "weight must be (V, E), y (..., E) for index (...)";
    }
    double flops() const { return 0; }
    double bytes() const { return double(8 + 2 * sizeof(T)) * double(y.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kElementPiece, y.cols()); }
    std::int64_t tasks() const { return y.size() == 0 ? 0 : pieces(index.size(), rows_per_task()); }
};

// dweight_v = Σ_i dy_i [index_i = v], added up in the order of i. Tasks: pieces of the rows of dweight.
template <class T>
struct EmbeddingBackward {
    static constexpr const char* name = "embedding_backward";
    Strided<const T> dy;
    Strided<const std::int64_t> index;
    Tensor<T> dweight;
    std::int64_t padding_idx = -1;

    template <class Visit>
    void fields(Visit&& field) {
        field("dy", dy);
        field("index", index);
        field("dweight", dweight);
        field("padding_idx", padding_idx);
    }
    const char* invalid() const {
        return dweight.ndim == 2 && same_lead(dy, 1, index, 0) && dy.shape[dy.ndim - 1] == dweight.cols()
                   ? nullptr
                   : "dweight must be (V, E), dy (..., E) for index (...)";
    }
    double flops() const { return double(dy.size()); }
    double bytes() const { return double(sizeof(T)) * double(dweight.size() + 3 * dy.size()); }
    // Every task reads all indices, which costs about as much as 16 elements for each of them.
    BP_INLINE std::int64_t rows_per_task() const {
        const std::int64_t indices = index.size(), elements = (dweight.rows() + indices) * dweight.cols();
        const std::int64_t piece = indices > kElementPiece / 16 ? 16 * indices : kElementPiece;
        const std::int64_t most = elements / piece, tasks = most < 1 ? 1 : most > 16 ? 16 : most;
        return (dweight.rows() + tasks - 1) / tasks;
    }
    std::int64_t tasks() const { return dweight.size() == 0 ? 0 : pieces(dweight.rows(), rows_per_task()); }
};

// y_k = x[index_k] in every row. Tasks: pieces of the elements of y.
template <class T>
struct GatherForward {
    static constexpr const char* name = "gather_forward";
    Strided<const T> x;
    Strided<const std::int64_t> index;
    Tensor<T> y;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("index", index);
        field("y", y);
    }
    const char* invalid() const {
        return same_shape(index, y) && same_lead(x, 1, index, 1)
                   ? nullptr
                   : "index and y must be (..., K) for x (..., V)";
    }
    double flops() const { return 0; }
    double bytes() const { return double(8 + 2 * sizeof(T)) * double(y.size()); }
    std::int64_t tasks() const { return pieces(y.size(), kElementPiece); }
};

// dx_v = Σ_k dy_k [index_k = v] in every row, added up in the order of k. Tasks: rows.
template <class T>
struct GatherBackward {
    static constexpr const char* name = "gather_backward";
    Strided<const T> dy;
    Strided<const std::int64_t> index;
    Tensor<T> dx;

    template <class Visit>
    void fields(Visit&& field) {
        field("dy", dy);
        field("index", index);
        field("dx", dx);
    }
    const char* invalid() const {
        return same_shape(index, dy) && same_lead(dx, 1, index, 1)
                   ? nullptr
                   : "index and dy must be (..., K) for dx (..., V)";
    }
    double flops() const { return double(dy.size()); }
    double bytes() const {
        return double(sizeof(T)) * double(dx.size()) + double(8 + 3 * sizeof(T)) * double(dy.size());
    }
    BP_INLINE std::int64_t rows_per_task() const {
        return rows_of(kElementPiece, dx.cols() + index.shape[index.ndim - 1]);
    }
    std::int64_t tasks() const { return dx.size() == 0 ? 0 : pieces(dx.rows(), rows_per_task()); }
};

using IndexingOps = BothDtypes<EmbeddingForward, EmbeddingBackward, GatherForward, GatherBackward>;

}  // namespace backpass
