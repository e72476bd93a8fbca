// The L2 penalty on weights: its gradient and its part of the loss.
#pragma once
#include "fields.hpp"

namespace backpass {

// dweight += α weight / count; partials[p] = Σ weight² over chunk p. A task is one chunk.
template <class T>
struct L2Gradient {
    static constexpr const char* name = "l2_gradient";
    Tensor<const T> weight;
    Tensor<const double> count;
    Tensor<T> dweight;
    Tensor<double> partials;
    double alpha = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("weight", weight);
        field("count", count);
        field("dweight", dweight);
        field("partials", partials);
        field("alpha", alpha);
    }
    const char* invalid() const {
        if (!same_size(weight, dweight)) return "weight and dweight must have one size";
        if (partials.size() < pieces(weight.size(), kUpdatePiece))
            return "partials must have a place for each 16384 weights";
        return has_size(count, 1) ? nullptr : "count must be (1,)";
    }
    double flops() const { return 4.0 * double(weight.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(weight.size()); }
    std::int64_t tasks() const { return partials.size(); }
};

// loss = share · loss + ½ α Σ partials / count
struct L2Loss : SmallOp {
    static constexpr const char* name = "l2_loss";
    Tensor<const double> partials, count;
    Tensor<double> loss;
    double alpha = 0, share = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("partials", partials);
        field("count", count);
        field("loss", loss);
        field("alpha", alpha);
        field("share", share);
    }
    const char* invalid() const {
        return has_size(loss, 1) && has_size(count, 1) ? nullptr : "loss and count must be (1,)";
    }
};

using PenaltyOps = decltype(BothDtypes<L2Gradient>{} + OpList<L2Loss>{});

}  // namespace backpass
