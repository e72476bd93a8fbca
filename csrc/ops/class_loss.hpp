// Losses whose targets are class indices.
#pragma once
#include "loss.hpp"

namespace backpass {

// Fields and checks of a loss with class indices.
template <class T>
struct ClassLoss : Loss<T, std::int64_t> {
    using Base = Loss<T, std::int64_t>;
    using Base::pred, Base::target, Base::sample_weight;
    Tensor<const T> weight;
    std::int64_t ignore_index = -100;

    template <class Visit>
    void common(Visit&& field) {
        Base::common(field);
        field("weight", weight, optional);
        field("ignore_index", ignore_index);
    }
    const char* invalid() const {
        if (pred.ndim < 1 || !all_have_size(pred.rows(), target, sample_weight))
            return "target and sample_weight must be (...) for pred (..., C)";
        return has_size(weight, pred.cols()) ? this->mismatch() : "weight must be (C,)";
    }
};

template <class T>
struct SoftmaxCrossEntropy : ClassLoss<T> {
    static constexpr const char* name = "softmax_cross_entropy";
    double label_smoothing = 0;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("label_smoothing", label_smoothing);
    }
    double flops() const { return 25.0 * double(this->pred.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(this->pred.size()); }
};

template <class T>
struct Nll : ClassLoss<T> {
    static constexpr const char* name = "nll";

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
    }
    double flops() const { return double(this->pred.size()); }
    double bytes() const { return sizeof(T) * double(this->pred.size()); }
};

using ClassLossOps = BothDtypes<SoftmaxCrossEntropy, Nll>;

}  // namespace backpass
