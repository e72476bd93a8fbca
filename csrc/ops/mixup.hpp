// Mixup: each row is mixed with a partner row, and so are the losses of both targets.
#pragma once
#include "fields.hpp"

namespace backpass {

// share = a random quantile; partner[b] = (s - b) mod B
struct MixupDraw : SmallOp {
    static constexpr const char* name = "mixup_draw";
    Tensor<const std::int64_t> step;
    Tensor<const double> quantiles;
    Tensor<double> share;
    Tensor<std::int64_t> partner;
    std::int64_t seed = 0, stream = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("step", step);
        field("quantiles", quantiles);
        field("share", share);
        field("partner", partner);
        field("seed", seed);
        field("stream", stream);
    }
    const char* invalid() const {
        return has_size(step, 1) && has_size(share, 1) ? nullptr : "step and share must be (1,)";
    }
};

// to[b] = share from[b] + (1 - share) from[partner[b]]: the forward pass and, on gradients, the backward pass.
template <class T>
struct Mixup {
    Tensor<const T> from;
    Tensor<T> to;
    Tensor<const double> share;
    Tensor<const std::int64_t> partner;

    const char* invalid() const {
        if (from.ndim != 2 || !is_matrix(to, from.shape[0], from.shape[1])) return "the rows must be (B, I)";
        return has_size(share, 1) && has_size(partner, from.shape[0]) ? nullptr
                                                                      : "share must be (1,), partner (B,)";
    }
    double flops() const { return 3.0 * double(from.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(from.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kElementPiece, from.cols()); }
    std::int64_t tasks() const { return from.size() == 0 ? 0 : pieces(from.rows(), rows_per_task()); }
};

template <class T>
struct MixupForward : Mixup<T> {
    static constexpr const char* name = "mixup_forward";

    template <class Visit>
    void fields(Visit&& field) {
        field("x", this->from);
        field("y", this->to);
        field("share", this->share);
        field("partner", this->partner);
    }
};

template <class T>
struct MixupBackward : Mixup<T> {
    static constexpr const char* name = "mixup_backward";

    template <class Visit>
    void fields(Visit&& field) {
        field("dy", this->from);
        field("dx", this->to);
        field("share", this->share);
        field("partner", this->partner);
    }
};

// loss = share loss_a + (1 - share) loss_b; gradient and count are mixed alike.
// At least one task even without a gradient: it has to write loss and count.
template <class T>
struct MixedLoss {
    static constexpr const char* name = "mixed_loss";
    Tensor<const double> loss_a, loss_b, count_a, count_b, share;
    Tensor<const T> dpred_a, dpred_b;
    Tensor<double> loss, count;
    Tensor<T> gradient;

    template <class Visit>
    void fields(Visit&& field) {
        field("loss_a", loss_a);
        field("loss_b", loss_b);
        field("count_a", count_a);
        field("count_b", count_b);
        field("share", share);
        field("dpred_a", dpred_a);
        field("dpred_b", dpred_b);
        field("loss", loss);
        field("count", count);
        field("gradient", gradient);
    }
    const char* invalid() const {
        if (!all_have_size(1, loss_a, loss_b, count_a, count_b, share, loss, count))
            return "losses, counts and share must be (1,)";
        return same_size(dpred_a, dpred_b) && same_size(dpred_a, gradient)
                   ? nullptr
                   : "dpred_a, dpred_b and gradient must have one shape";
    }
    double flops() const { return 3.0 * double(gradient.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(gradient.size()); }
    std::int64_t tasks() const { return gradient.size() == 0 ? 1 : pieces(gradient.size(), kElementPiece); }
};

using MixupOps = decltype(BothDtypes<MixupForward, MixupBackward, MixedLoss>{} + OpList<MixupDraw>{});

}  // namespace backpass
