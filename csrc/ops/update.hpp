// Optimizer steps over one flat span of parameters.
#pragma once
#include <limits>

#include "fields.hpp"

namespace backpass {

// Fields of every optimizer step: parameters, gradients, this step's learning rate and gradient scale.
template <class T>
struct Update {
    Tensor<T> params;
    Tensor<const T> grads;
    Tensor<const double> lr, scale;
    double weight_decay = 0, clip_value = std::numeric_limits<double>::infinity();

    template <class Visit>
    void common(Visit&& field) {
        field("params", params);
        field("grads", grads);
        field("lr", lr);
        field("scale", scale);
        field("weight_decay", weight_decay);
        field("clip_value", clip_value);
    }
    template <class... Slots>
    const char* mismatch(const Slots&... slots) const {
        if (!has_size(lr, 1) || !has_size(scale, 1)) return "lr and scale must be (1,)";
        return same_size(params, grads) && (same_size(params, slots) && ...)
                   ? nullptr
                   : "params, grads and the moments must have one size";
    }
    double flops() const { return 12.0 * double(params.size()); }
    double bytes() const { return 7.0 * sizeof(T) * double(params.size()); }
    std::int64_t tasks() const { return pieces(params.size(), kUpdatePiece); }
};

template <class T>
struct SgdStep : Update<T> {
    static constexpr const char* name = "sgd_step";
    Tensor<T> velocity;
    Tensor<const std::int64_t> step;
    double momentum = 0, dampening = 0;
    bool nesterov = false, lr_in_velocity = false;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("velocity", velocity, optional);
        field("step", step);
        field("momentum", momentum);
        field("dampening", dampening);
        field("nesterov", nesterov);
        field("lr_in_velocity", lr_in_velocity);
    }
    const char* invalid() const { return has_size(step, 1) ? this->mismatch(velocity) : "step must be (1,)"; }
};

template <class T>
struct AdamStep : Update<T> {
    static constexpr const char* name = "adam_step";
    Tensor<T> m, v, max_v;
    Tensor<const std::int64_t> step;
    double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    bool decoupled = false, eps_hat = false;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("m", m);
        field("v", v);
        field("max_v", max_v, optional);
        field("step", step);
        field("beta1", beta1);
        field("beta2", beta2);
        field("eps", eps);
        field("decoupled", decoupled);
        field("eps_hat", eps_hat);
    }
    const char* invalid() const {
        return has_size(step, 1) ? this->mismatch(m, v, max_v) : "step must be (1,)";
    }
};

template <class T>
struct NadamStep : Update<T> {
    static constexpr const char* name = "nadam_step";
    Tensor<T> m, v;
    Tensor<const double> coefficients;
    Tensor<const std::int64_t> step;
    double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    bool decoupled = false;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("m", m);
        field("v", v);
        field("coefficients", coefficients);
        field("step", step);
        field("beta1", beta1);
        field("beta2", beta2);
        field("eps", eps);
        field("decoupled", decoupled);
    }
    const char* invalid() const {
        return has_size(step, 1) && has_size(coefficients, 2) ? this->mismatch(m, v)
                                                              : "step must be (1,), coefficients (2,)";
    }
};

template <class T>
struct RmspropStep : Update<T> {
    static constexpr const char* name = "rmsprop_step";
    Tensor<T> v, grad_avg, velocity;
    double alpha = 0.99, eps = 1e-8, momentum = 0;
    bool eps_inside = false, lr_in_velocity = false;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("v", v);
        field("grad_avg", grad_avg, optional);
        field("velocity", velocity, optional);
        field("alpha", alpha);
        field("eps", eps);
        field("momentum", momentum);
        field("eps_inside", eps_inside);
        field("lr_in_velocity", lr_in_velocity);
    }
    const char* invalid() const { return this->mismatch(v, grad_avg, velocity); }
};

template <class T>
struct AdagradStep : Update<T> {
    static constexpr const char* name = "adagrad_step";
    Tensor<T> total;
    Tensor<const std::int64_t> step;
    double lr_decay = 0, eps = 1e-10;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("total", total);
        field("step", step);
        field("lr_decay", lr_decay);
        field("eps", eps);
    }
    const char* invalid() const { return has_size(step, 1) ? this->mismatch(total) : "step must be (1,)"; }
};

template <class T>
struct AdadeltaStep : Update<T> {
    static constexpr const char* name = "adadelta_step";
    Tensor<T> v, delta;
    double rho = 0.9, eps = 1e-6;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("v", v);
        field("delta", delta);
        field("rho", rho);
        field("eps", eps);
    }
    const char* invalid() const { return this->mismatch(v, delta); }
};

template <class T>
struct LionStep : Update<T> {
    static constexpr const char* name = "lion_step";
    Tensor<T> m;
    double beta1 = 0.9, beta2 = 0.99;

    template <class Visit>
    void fields(Visit&& field) {
        this->common(field);
        field("m", m);
        field("beta1", beta1);
        field("beta2", beta2);
    }
    const char* invalid() const { return this->mismatch(m); }
};

// The momentum schedule of NAdam: coefficients of the gradient and of m for this step.
struct NadamMomentum : SmallOp {
    static constexpr const char* name = "nadam_momentum";
    Tensor<const std::int64_t> step;
    Tensor<double> mu_product, coefficients;
    double beta1 = 0.9, momentum_decay = 4e-3;

    template <class Visit>
    void fields(Visit&& field) {
        field("step", step);
        field("mu_product", mu_product);
        field("coefficients", coefficients);
        field("beta1", beta1);
        field("momentum_decay", momentum_decay);
    }
    const char* invalid() const {
        return has_size(step, 1) && has_size(mu_product, 1) && has_size(coefficients, 2)
                   ? nullptr
                   : "step and mu_product must be (1,), coefficients (2,)";
    }
};

using UpdateOps =
    decltype(BothDtypes<SgdStep, AdamStep, NadamStep, RmspropStep, AdagradStep, AdadeltaStep, LionStep>{} +
             OpList<NadamMomentum>{});

}  // namespace backpass
