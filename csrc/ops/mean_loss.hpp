// The end of losses: the mean of one that is written as an expression, and the sum of several.
#pragma once
#include "fields.hpp"

namespace backpass {

// loss = Σ w pred / Σ w, count = Σ w, or rows if that is not 0; dpred = w / Σ w
template <class T>
struct MeanLoss {
    static constexpr const char* name = "mean_loss";
    Tensor<const T> pred, sample_weight;
    Tensor<double> loss, count;
    Tensor<T> dpred;
    std::int64_t rows = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("pred", pred);
        field("sample_weight", sample_weight, optional);
        field("loss", loss);
        field("count", count);
        field("dpred", dpred, optional);
        field("rows", rows);
    }
    const char* invalid() const {
        if (!all_have_size(1, loss, count)) return "loss and count must be (1,)";
        return all_have_size(pred.size(), sample_weight, dpred)
                   ? nullptr
                   : "sample_weight and dpred must have the shape of pred";
    }
    double flops() const { return 3.0 * double(pred.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(pred.size()); }
    std::int64_t tasks() const { return 1; }
};

// loss = before + weight part: the losses of several outputs, one after the other
struct SumLosses : SmallOp {
    static constexpr const char* name = "sum_losses";
    Tensor<const double> part, before;
    Tensor<double> loss;
    double weight = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("part", part);
        field("before", before, optional);
        field("loss", loss);
        field("weight", weight);
    }
    const char* invalid() const {
        return all_have_size(1, part, before, loss) ? nullptr : "part, before and loss must be (1,)";
    }
};

using MeanLossOps = decltype(BothDtypes<MeanLoss>{} + OpList<SumLosses>{});

}  // namespace backpass
