// Losses whose targets are numbers.
#pragma once
#include "loss.hpp"

namespace backpass {

template <class T>
struct PointwiseLoss : Loss<T, T> {
    static constexpr const char* name = "pointwise_loss";
    using Base = Loss<T, T>;
    using Base::pred, Base::target, Base::sample_weight;
    Pointwise kind = Pointwise::mse;
    double alpha = 1;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("kind", kind, kPointwiseNames);
        field("alpha", alpha);
    }
    const char* invalid() const {
        if (pred.ndim < 1 || !is_matrix(target, pred.rows(), pred.cols()) ||
            !has_size(sample_weight, pred.rows()))
            return "target must be (..., O), sample_weight (...), for pred (..., O)";
        return this->mismatch();
    }
    double flops() const { return 8.0 * double(pred.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(pred.size()); }
};

// The negative log-likelihood of normal distributions. pred (..., 2, O): means, then variances.
template <class T>
struct GaussianNll : Loss<T, T> {
    static constexpr const char* name = "gaussian_nll";
    using Base = Loss<T, T>;
    using Base::pred, Base::target, Base::sample_weight;
    double eps = 1e-6;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("eps", eps);
    }
    const char* invalid() const {
        if (target.ndim < 1 || pred.ndim < 2 || pred.shape[pred.ndim - 2] != 2)
            return "pred must be (..., 2, O)";
        if (!is_matrix(pred, 2 * target.rows(), target.cols()) || !has_size(sample_weight, target.rows()))
            return "target must be (..., O), sample_weight (...)";
        return this->mismatch();
    }
    double flops() const { return 20.0 * double(pred.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(pred.size()); }
};

using PointwiseLossOps = BothDtypes<PointwiseLoss, GaussianNll>;

}  // namespace backpass
