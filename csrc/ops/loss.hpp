// Ring 0: losses (python/backpass/losses/). One task each: little work, and the sum has one order.
#pragma once
#include "fields.hpp"

namespace backpass {

// What every loss reads and writes.
template <class T, class Target>
struct Loss {
    Tensor<const T> pred, sample_weight;
    Tensor<const Target> target;
    Tensor<double> loss, count;
    Tensor<T> dpred;
    Reduction reduction = Reduction::mean;

    template <class Visit>
    void common(Visit&& field) {
        field("pred", pred), field("target", target), field("sample_weight", sample_weight, optional);
        field("loss", loss), field("count", count), field("dpred", dpred, optional);
        field("reduction", reduction, kReductionNames);
    }
    const char* mismatch() const {
        if (!all_have_size(1, loss, count)) return "loss and count must be (1,)";
        return is_matrix(dpred, pred.rows(), pred.cols()) ? nullptr : "dpred must have the shape of pred";
    }
    std::int64_t tasks() const { return 1; }
};

// Those whose targets are class indices.
template <class T>
struct ClassLoss : Loss<T, std::int64_t> {
    Tensor<const T> weight;
    std::int64_t ignore_index = -100;

    template <class Visit>
    void common(Visit&& field) {
        Loss<T, std::int64_t>::common(field);
        field("weight", weight, optional), field("ignore_index", ignore_index);
    }
    const char* invalid() const {
        const auto& pred = this->pred;
        if (pred.ndim < 1 || !all_have_size(pred.rows(), this->target, this->sample_weight))
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

template <class T>
struct PointwiseLoss : Loss<T, T> {
    static constexpr const char* name = "pointwise_loss";
    Pointwise kind = Pointwise::mse;
    double alpha = 1;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("kind", kind, kPointwiseNames), field("alpha", alpha);
    }
    const char* invalid() const {
        const auto& pred = this->pred;
        if (pred.ndim < 1 || !is_matrix(this->target, pred.rows(), pred.cols()) ||
            !has_size(this->sample_weight, pred.rows()))
            return "target must be (..., O), sample_weight (...), for pred (..., O)";
        return this->mismatch();
    }
    double flops() const { return 8.0 * double(this->pred.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(this->pred.size()); }
};

// pred (..., 2, O): means, then variances.
template <class T>
struct GaussianNll : Loss<T, T> {
    static constexpr const char* name = "gaussian_nll";
    double eps = 1e-6;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("eps", eps);
    }
    const char* invalid() const {
        const auto &pred = this->pred, &target = this->target;
        if (target.ndim < 1 || pred.ndim < 2 || pred.shape[pred.ndim - 2] != 2)
            return "pred must be (..., 2, O)";
        if (!is_matrix(pred, 2 * target.rows(), target.cols()) ||
            !has_size(this->sample_weight, target.rows()))
            return "target must be (..., O), sample_weight (...)";
        return this->mismatch();
    }
    double flops() const { return 20.0 * double(this->pred.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(this->pred.size()); }
};

}  // namespace backpass
