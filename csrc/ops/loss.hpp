// Ring 0: losses (python/backpass/losses/). One task each: little work, and the sum has one order.
#pragma once
#include "fields.hpp"

namespace backpass {

template <class T>
struct SoftmaxCrossEntropy {
    static constexpr const char* name = "softmax_cross_entropy";
    Tensor<const T> pred;
    Tensor<const std::int64_t> target;
    Tensor<const T> weight, sample_weight;
    Tensor<double> loss, count;
    Tensor<T> dpred;
    double label_smoothing = 0;
    Reduction reduction = Reduction::mean;
    std::int64_t ignore_index = -100;

    template <class Visit>
    void fields(Visit&& field) {
        field("pred", pred), field("target", target), field("weight", weight, optional),
            field("sample_weight", sample_weight, optional);
        field("loss", loss), field("count", count), field("dpred", dpred, optional);
        field("label_smoothing", label_smoothing), field("reduction", reduction, kReductionNames),
            field("ignore_index", ignore_index);
    }
    const char* invalid() const {
        if (pred.ndim < 1 || !has_size(target, pred.rows()) || !has_size(sample_weight, pred.rows()))
            return "target and sample_weight must be (...) for pred (..., C)";
        if (!has_size(weight, pred.cols())) return "weight must be (C,)";
        if (!has_size(loss, 1) || !has_size(count, 1)) return "loss and count must be (1,)";
        return is_matrix(dpred, pred.rows(), pred.cols()) ? nullptr : "dpred must be (..., C)";
    }
    double flops() const { return 25.0 * double(pred.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(pred.size()); }
    std::int64_t tasks() const { return 1; }
};

template <class T>
struct Nll {
    static constexpr const char* name = "nll";
    Tensor<const T> pred;
    Tensor<const std::int64_t> target;
    Tensor<const T> weight, sample_weight;
    Tensor<double> loss, count;
    Tensor<T> dpred;
    Reduction reduction = Reduction::mean;
    std::int64_t ignore_index = -100;

    template <class Visit>
    void fields(Visit&& field) {
        field("pred", pred), field("target", target), field("weight", weight, optional),
            field("sample_weight", sample_weight, optional);
        field("loss", loss), field("count", count), field("dpred", dpred, optional);
        field("reduction", reduction, kReductionNames), field("ignore_index", ignore_index);
    }
    const char* invalid() const {
        if (pred.ndim < 1 || !has_size(target, pred.rows()) || !has_size(sample_weight, pred.rows()))
            return "target and sample_weight must be (...) for pred (..., C)";
        if (!has_size(weight, pred.cols())) return "weight must be (C,)";
        if (!has_size(loss, 1) || !has_size(count, 1)) return "loss and count must be (1,)";
        return is_matrix(dpred, pred.rows(), pred.cols()) ? nullptr : "dpred must be (..., C)";
    }
    double flops() const { return double(pred.size()); }
    double bytes() const { return sizeof(T) * double(pred.size()); }
    std::int64_t tasks() const { return 1; }
};

template <class T>
struct PointwiseLoss {
    static constexpr const char* name = "pointwise_loss";
    Tensor<const T> pred, target, sample_weight;
    Tensor<double> loss, count;
    Tensor<T> dpred;
    Pointwise kind = Pointwise::mse;
    double alpha = 1;
    Reduction reduction = Reduction::mean;

    template <class Visit>
    void fields(Visit&& field) {
        field("pred", pred), field("target", target), field("sample_weight", sample_weight, optional);
        field("loss", loss), field("count", count), field("dpred", dpred, optional);
        field("kind", kind, kPointwiseNames), field("alpha", alpha),
            field("reduction", reduction, kReductionNames);
    }
    const char* invalid() const {
        if (pred.ndim < 1 || !is_matrix(target, pred.rows(), pred.cols()) ||
            !has_size(sample_weight, pred.rows()))
            return "target must be (..., O), sample_weight (...), for pred (..., O)";
        if (!has_size(loss, 1) || !has_size(count, 1)) return "loss and count must be (1,)";
        return is_matrix(dpred, pred.rows(), pred.cols()) ? nullptr : "dpred must be (..., O)";
    }
    double flops() const { return 8.0 * double(pred.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(pred.size()); }
    std::int64_t tasks() const { return 1; }
};

// pred (..., 2, O): means, then variances.
template <class T>
struct GaussianNll {
    static constexpr const char* name = "gaussian_nll";
    Tensor<const T> pred, target, sample_weight;
    Tensor<double> loss, count;
    Tensor<T> dpred;
    double eps = 1e-6;
    Reduction reduction = Reduction::mean;

    template <class Visit>
    void fields(Visit&& field) {
        field("pred", pred), field("target", target), field("sample_weight", sample_weight, optional);
        field("loss", loss), field("count", count), field("dpred", dpred, optional);
        field("eps", eps), field("reduction", reduction, kReductionNames);
    }
    const char* invalid() const {
        if (target.ndim < 1 || pred.ndim < 2 || pred.shape[pred.ndim - 2] != 2)
            return "pred must be (..., 2, O)";
        if (!is_matrix(pred, 2 * target.rows(), target.cols()) || !has_size(sample_weight, target.rows()))
            return "target must be (..., O), sample_weight (...)";
        if (!has_size(loss, 1) || !has_size(count, 1)) return "loss and count must be (1,)";
        return same_size(dpred, pred) ? nullptr : "dpred must be (..., 2, O)";
    }
    double flops() const { return 20.0 * double(pred.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(pred.size()); }
    std::int64_t tasks() const { return 1; }
};

}  // namespace backpass
