// Activations, pointwise losses and the functions of expressions in double, with those of the C library, one by one as Python
// defines them.
#pragma once
#include <array>
#include <cmath>

#include "ops/types.hpp"

namespace backpass::naive {

// Every enumerator that has a name.
template <class Enum, std::size_t N>
constexpr std::array<Enum, N> all(const char* const (&)[N]) {
    std::array<Enum, N> found{};
    for (std::size_t i = 0; i < N; ++i) found[i] = Enum(i);
    return found;
}

inline constexpr auto kActivations = all<Activation>(kActivationNames);
static_assert(kActivations.size() == 10,
              "new activation: add it to value() and slope() below, then count it here");
inline constexpr double kAlpha = 0.5;  // where an activation has one
inline constexpr double kPi = 3.14159265358979323846;

inline double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }
inline double normal_cdf(double z) { return 0.5 * (1 + std::erf(z / std::sqrt(2.0))); }

inline double value(Activation a, double z) {
    switch (a) {
        case Activation::identity:
            return z;
        case Activation::relu:
            return z > 0 ? z : 0;
        case Activation::leaky_relu:
            return z > 0 ? z : kAlpha * z;
        case Activation::tanh:
            return std::tanh(z);
        case Activation::sigmoid:
            return sigmoid(z);
        case Activation::elu:
            return z > 0 ? z : kAlpha * std::expm1(z);
        case Activation::softplus:
            return std::log1p(std::exp(kAlpha * z)) / kAlpha;
        case Activation::gelu:
            return z * normal_cdf(z);
        case Activation::gelu_tanh:
            return 0.5 * z * (1 + std::tanh(std::sqrt(2 / kPi) * (z + 0.044715 * z * z * z)));
        case Activation::silu:
            return z * sigmoid(z);
    }
    return NAN;
}

inline double slope(Activation a, double z) {
    const double y = value(a, z), s = sigmoid(z);
    switch (a) {
        case Activation::identity:
            return 1;
        case Activation::relu:
            return z > 0 ? 1 : 0;
        case Activation::leaky_relu:
            return z > 0 ? 1 : kAlpha;
        case Activation::tanh:
            return 1 - y * y;
        case Activation::sigmoid:
            return y * (1 - y);
        case Activation::elu:
            return z > 0 ? 1 : y + kAlpha;
        case Activation::softplus:
            return sigmoid(kAlpha * z);
        case Activation::gelu:
            return normal_cdf(z) + z * std::exp(-z * z / 2) / std::sqrt(2 * kPi);
        case Activation::gelu_tanh: {
            const double c = std::sqrt(2 / kPi), t = std::tanh(c * (z + 0.044715 * z * z * z));
            return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * c * (1 + 3 * 0.044715 * z * z);
        }
        case Activation::silu:
            return s * (1 + z * (1 - s));
    }
    return NAN;
}

// ---- pointwise losses: prediction p, target t; a is the loss's parameter ----------------------------------

inline constexpr auto kLosses = all<Pointwise>(kPointwiseNames);
static_assert(kLosses.size() == 12,
              "new pointwise loss: add it to value() and slope() below, then count it here");

inline double value(Pointwise loss, double p, double t, double a) {
    const double d = p - t, m = std::fabs(d);
    switch (loss) {
        case Pointwise::mse:
            return d * d;
        case Pointwise::half_mse:
            return d * d / 2;
        case Pointwise::l1:
            return m;
        case Pointwise::huber:
            return m <= a ? d * d / 2 : a * (m - a / 2);
        case Pointwise::smooth_l1:
            return m < a ? d * d / 2 / a : m - a / 2;
        case Pointwise::bce_with_logits:
            return (1 - t) * p + (1 + (a - 1) * t) * std::log1p(std::exp(-p));
        case Pointwise::poisson:
            return std::exp(p) - t * p;
        case Pointwise::poisson_rate:
            return p - t * std::log(p + a);
        case Pointwise::quantile:
            return std::fmax(-a * d, (1 - a) * d);
        case Pointwise::hinge:
            return std::fmax(0, a - t * p);
        case Pointwise::focal:
            return -t * std::pow(sigmoid(-p), a) * std::log(sigmoid(p)) -
                   (1 - t) * std::pow(sigmoid(p), a) * std::log(sigmoid(-p));
        case Pointwise::soft_nll:
            return t == 0 ? 0 : -t * p;
    }
    return NAN;
}

inline double slope(Pointwise loss, double p, double t, double a) {
    const double d = p - t;
    switch (loss) {
        case Pointwise::mse:
            return 2 * d;
        case Pointwise::half_mse:
            return d;
        case Pointwise::l1:
            return d > 0 ? 1 : d < 0 ? -1 : 0;
        case Pointwise::huber:
            return std::fmin(a, std::fmax(-a, d));
        case Pointwise::smooth_l1:
            return std::fmin(1, std::fmax(-1, d / a));
        case Pointwise::bce_with_logits:
            return (1 - t) - (1 + (a - 1) * t) * sigmoid(-p);
        case Pointwise::poisson:
            return std::exp(p) - t;
        case Pointwise::poisson_rate:
            return 1 - t / (p + a);
        case Pointwise::quantile:
            return d < 0 ? -a : d > 0 ? 1 - a : 0;
        case Pointwise::hinge:
            return t * p < a ? -t : 0;
        case Pointwise::focal: {
            const double s = sigmoid(p), r = sigmoid(-p);
            return t * std::pow(r, a) * (a * s * std::log(s) - r) +
                   (1 - t) * std::pow(s, a) * (s - a * r * std::log(r));
        }
        case Pointwise::soft_nll:
            return -t;
    }
    return NAN;
}

// ---- functions of expressions -----------------------------------------------------------------------------

inline constexpr auto kFunctions = all<Function>(kFunctionNames);
static_assert(kFunctions.size() == 29, "new function: add it to value() below, then count it here");

inline double value(Function function, double a, double b, double c) {
    switch (function) {
        case Function::copy:
            return a;
        case Function::neg:
            return -a;
        case Function::abs:
            return std::fabs(a);
        case Function::sign:
            return a > 0 ? 1 : a < 0 ? -1 : a;
        case Function::sqrt:
            return std::sqrt(a);
        case Function::exp:
            return std::exp(a);
        case Function::expm1:
            return std::expm1(a);
        case Function::log:
            return std::log(a);
        case Function::log1p:
            return std::log1p(a);
        case Function::sin:
            return std::sin(a);
        case Function::cos:
            return std::cos(a);
        case Function::erf:
            return std::erf(a);
        case Function::relu:
            return a < 0 ? 0 : a;
        case Function::sigmoid:
            return sigmoid(a);
        case Function::tanh:
            return std::tanh(a);
        case Function::add:
            return a + b;
        case Function::sub:
            return a - b;
        case Function::mul:
            return a * b;
        case Function::div:
            return a / b;
        case Function::pow:
            return std::pow(a, b);
        case Function::minimum:
            return std::isnan(a) || std::isnan(b) ? NAN : std::fmin(a, b);
        case Function::maximum:
            return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b);
        case Function::lt:
            return a < b;
        case Function::le:
            return a <= b;
        case Function::gt:
            return a > b;
        case Function::ge:
            return a >= b;
        case Function::eq:
            return a == b;
        case Function::ne:
            return a != b;
        case Function::where:
            return a != 0 ? b : c;
    }
    return NAN;
}

}  // namespace backpass::naive
