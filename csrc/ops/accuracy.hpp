// Accuracy: how much of a batch's weight lies on rows that are right.
#pragma once
#include "fields.hpp"

namespace backpass {

// correct += Σ w [target is the first of the largest of pred], Σ w, over the rows whose target is a class, and not ignore_index
template <class T>
struct CorrectClasses {
    static constexpr const char* name = "correct_classes";
    Tensor<const T> pred, sample_weight;
    Tensor<const std::int64_t> target;
    Tensor<double> correct;
    std::int64_t ignore_index = -100;

    template <class Visit>
    void fields(Visit&& field) {
        field("pred", pred);
        field("target", target);
        field("sample_weight", sample_weight, optional);
        field("correct", correct);
        field("ignore_index", ignore_index);
    }
    const char* invalid() const {
        if (pred.ndim < 1 || !has_size(target, pred.rows()) || !has_size(sample_weight, pred.rows()))
            return "target and sample_weight must be (...) for pred (..., C)";
        return has_size(correct, 2) ? nullptr : "correct must be (2,)";
    }
    double flops() const { return double(pred.size()); }
    double bytes() const { return double(sizeof(T)) * double(pred.size()); }
    std::int64_t tasks() const { return 1; }
};

// correct += Σ w [pred > 0 where target > 1/2, and nowhere else], Σ w
template <class T>
struct CorrectLogits {
    static constexpr const char* name = "correct_logits";
    Tensor<const T> pred, target, sample_weight;
    Tensor<double> correct;

    template <class Visit>
    void fields(Visit&& field) {
        field("pred", pred);
        field("target", target);
        field("sample_weight", sample_weight, optional);
        field("correct", correct);
    }
    const char* invalid() const {
        if (pred.ndim < 1 || !is_matrix(target, pred.rows(), pred.cols()) ||
            !has_size(sample_weight, pred.rows()))
            return "target must be (..., O), sample_weight (...), for pred (..., O)";
        return has_size(correct, 2) ? nullptr : "correct must be (2,)";
    }
    double flops() const { return double(pred.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(pred.size()); }
    std::int64_t tasks() const { return 1; }
};

// largest = the first c at which x_c / divisor_c is largest
template <class T>
struct Argmax {
    static constexpr const char* name = "argmax";
    Tensor<const T> x, divisor;
    Tensor<std::int64_t> largest;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("divisor", divisor, optional);
        field("largest", largest);
    }
    const char* invalid() const {
        if (x.ndim < 1 || !has_size(largest, x.rows())) return "largest must be (...) for x (..., C)";
        return has_size(divisor, x.cols()) ? nullptr : "divisor must be (C,)";
    }
    double flops() const { return double(x.size()); }
    double bytes() const { return double(sizeof(T)) * double(x.size()); }
    std::int64_t tasks() const { return 1; }
};

using AccuracyOps = BothDtypes<CorrectClasses, CorrectLogits, Argmax>;

}  // namespace backpass
