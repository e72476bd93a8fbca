// The fields of all losses. A loss is one task: the work is little, and the sum over a batch has one order.
#pragma once
#include "fields.hpp"

namespace backpass {

template <class T, class Target>
struct Loss {
    Tensor<const T> pred, sample_weight;
    Tensor<const Target> target;
    Tensor<double> loss, count;
    Tensor<T> dpred;
    Reduction reduction = Reduction::mean;

    template <class Visit>
    void common(Visit&& field) {
        field("pred", pred);
        field("target", target);
        field("sample_weight", sample_weight, optional);
        field("loss", loss);
        field("count", count);
        field("dpred", dpred, optional);
        field("reduction", reduction, kReductionNames);
    }
    const char* mismatch() const {
        if (!all_have_size(1, loss, count)) return "loss and count must be (1,)";
        return is_matrix(dpred, pred.rows(), pred.cols()) ? nullptr : "dpred must have the shape of pred";
    }
    std::int64_t tasks() const { return 1; }
};

}  // namespace backpass
