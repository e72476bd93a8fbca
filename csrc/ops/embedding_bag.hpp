// Bags: each row of indices chooses rows of a table, which are summed up, or of which the largest of each column is taken.
#pragma once
#include "indexing.hpp"

namespace backpass {

// y_b = scale_b sum of weight[index_b], or with `top` the largest of each column, at position top_b of the bag. Tasks: bags.
template <class T>
struct EmbeddingBagForward {
    static constexpr const char* name = "embedding_bag_forward";
    Tensor<const T> weight;
    Strided<const std::int64_t> index;
    Tensor<T> y, scale;
    Tensor<std::int64_t> top;
    bool mean = false;
    std::int64_t padding_idx = -1;

    template <class Visit>
    void fields(Visit&& field) {
        field("weight", weight);
        field("index", index);
        field("y", y);
        field("scale", scale);
        field("top", top, optional);
        field("mean", mean);
        field("padding_idx", padding_idx);
    }
    const char* invalid() const {
        return weight.ndim == 2 && index.ndim == 2 && is_matrix(y, index.shape[0], weight.cols()) &&
                       y.ndim == 2 && has_size(scale, index.shape[0]) && same_shape(top, y)
                   ? nullptr
                   : "weight must be (V, E), y and top (B, E), scale (B,) for index (B, L)";
    }
    double flops() const { return double(index.size()) * double(y.cols()); }
    double bytes() const { return double(sizeof(T)) * flops(); }
    BP_INLINE std::int64_t bags_per_task() const {
        return rows_of(kElementPiece, y.cols() * (index.shape[1] > 0 ? index.shape[1] : 1));
    }
    std::int64_t tasks() const { return pieces(index.shape[0], bags_per_task()); }
};

// As EmbeddingBackward.
template <class T>
struct EmbeddingBagBackward : EmbeddingBackward<T> {
    static constexpr const char* name = "embedding_bag_backward";
    const char* invalid() const {
        return this->index.ndim == 2 ? EmbeddingBackward<T>::invalid() : "index must be (B, L)";
    }
};

// As EmbeddingBackwardWeight, with the gradient of a bag for each of its positions: scale_b dy_b, or with `top` dy_b where the
// position is the top.
template <class T>
struct EmbeddingBagBackwardWeight : SumsOfRows<T> {
    static constexpr const char* name = "embedding_bag_backward_weight";
    Tensor<const T> dy, scale;
    Tensor<const std::int64_t> top;

    template <class Visit>
    void fields(Visit&& field) {
        field("dy", dy);
        field("scale", scale);
        field("top", top, optional);
        this->common(field);
    }
    const char* invalid() const {
        return dy.ndim == 2 && has_size(scale, dy.rows()) && same_shape(top, dy)
                   ? this->mismatch(dy.cols())
                   : "dy and top must be (B, E), scale (B,)";
    }
};

using EmbeddingBagOps = BothDtypes<EmbeddingBagForward, EmbeddingBagBackward, EmbeddingBagBackwardWeight>;

}  // namespace backpass
