// Dropout. The mask is a function of seed, stream and step.
#pragma once
#include "fields.hpp"

namespace backpass {

template <class T>
struct DropoutForward {
    static constexpr const char* name = "dropout_forward";
    Tensor<const T> x;
    Tensor<const std::int64_t> step;
    Tensor<T> y, mask;
    double p = 0;
    std::int64_t seed = 0, stream = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("step", step);
        field("y", y);
        field("mask", mask);
        field("p", p);
        field("seed", seed);
        field("stream", stream);
    }
    const char* invalid() const {
        if (!has_size(step, 1)) return "step must be (1,)";
        return same_size(x, y) && same_size(x, mask) ? nullptr : "x, y and mask must have one shape";
    }
    double flops() const { return 30.0 * double(x.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return pieces(x.size(), kElementPiece); }
};

// dx = dy · mask
template <class T>
struct DropoutBackward {
    static constexpr const char* name = "dropout_backward";
    Tensor<const T> mask, dy;
    Tensor<T> dx;

    template <class Visit>
    void fields(Visit&& field) {
        field("mask", mask);
        field("dy", dy);
        field("dx", dx);
    }
    const char* invalid() const {
        return same_size(mask, dy) && same_size(mask, dx) ? nullptr : "mask, dy and dx must have one shape";
    }
    double flops() const { return double(dy.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(dy.size()); }
    std::int64_t tasks() const { return pieces(dy.size(), kElementPiece); }
};

using DropoutOps = BothDtypes<DropoutForward, DropoutBackward>;

}  // namespace backpass
