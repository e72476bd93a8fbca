// Clipping by the norm of the gradient, and the guard against numbers that are not finite.
#pragma once
#include "fields.hpp"

namespace backpass {

// partials[p] = Σ g² over chunk p. A task is one chunk, so that sums are the same for any number of threads.
template <class T>
struct GradientNorm {
    static constexpr const char* name = "gradient_norm";
    Tensor<const T> grads;
    Tensor<double> partials;

    template <class Visit>
    void fields(Visit&& field) {
        field("grads", grads);
        field("partials", partials);
    }
    const char* invalid() const { return nullptr; }
    double flops() const { return 2.0 * double(grads.size()); }
    double bytes() const { return double(sizeof(T)) * double(grads.size()); }
    std::int64_t tasks() const { return partials.size(); }
};

// norm = √Σ partials; scale = min(1, max_norm / norm); halt = 1 if loss or norm is not finite
struct ClipScale : SmallOp {
    static constexpr const char* name = "clip_scale";
    Tensor<const double> loss, partials;
    Tensor<double> norm, scale;
    Tensor<std::int64_t> halt;
    double max_norm = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("loss", loss);
        field("partials", partials);
        field("norm", norm);
        field("scale", scale);
        field("halt", halt);
        field("max_norm", max_norm);
    }
    const char* invalid() const {
        return has_size(loss, 1) && has_size(norm, 1) && has_size(scale, 1) && has_size(halt, 1)
                   ? nullptr
                   : "loss, norm, scale and halt must be (1,)";
    }
};

using ClipOps = decltype(BothDtypes<GradientNorm>{} + OpList<ClipScale>{});

}  // namespace backpass
