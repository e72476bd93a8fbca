// Elements chosen by index: rows of a table, and elements along the last dimension. An index outside gives NaN.
#pragma once
#include "table_rows.hpp"

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

// The positions of index, sorted by the rows of weight that they choose. One task: a sort in one pass for each 11 bits of a row.
template <class T>
struct EmbeddingBackward {
    static constexpr const char* name = "embedding_backward";
    Tensor<const T> weight;
    Strided<const std::int64_t> index;
    Tensor<std::int64_t> order, rows, ends, count;
    std::int64_t padding_idx = -1;

    template <class Visit>
    void fields(Visit&& field) {
        field("weight", weight);
        field("index", index);
        field("order", order);
        field("rows", rows);
        field("ends", ends);
        field("count", count);
        field("padding_idx", padding_idx);
    }
    const char* invalid() const {
        if (weight.ndim != 2 || !all_have_size(index.size(), order, rows, ends) || !has_size(count, 1))
            return "weight must be (V, E), order, rows and ends have the size of index, count (1,)";
        return bits_below(weight.rows()) + bits_below(index.size()) < 64
                   ? nullptr
                   : "weight has too many rows for an index of this size";
    }
    double flops() const { return 8 * double(index.size()); }
    double bytes() const { return 64 * double(index.size()); }
    std::int64_t tasks() const { return 1; }
};

// dweight_v = sum of dy_i over the positions i of row v; drows_k that of the k-th row that occurs.
template <class T>
struct EmbeddingBackwardWeight : SumsOfRows<T> {
    static constexpr const char* name = "embedding_backward_weight";
    Strided<const T> dy;

    template <class Visit>
    void fields(Visit&& field) {
        field("dy", dy);
        this->common(field);
    }
    const char* invalid() const {
        return dy.ndim > 0 ? this->mismatch(dy.shape[dy.ndim - 1]) : "dy must be (..., E)";
    }
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

using IndexingOps =
    BothDtypes<EmbeddingForward, EmbeddingBackward, EmbeddingBackwardWeight, GatherForward, GatherBackward>;

}  // namespace backpass
