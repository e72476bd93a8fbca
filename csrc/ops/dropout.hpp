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

// Whole channels of (B, L, C), which lie last. Tasks: samples.
template <class X, class Mask>
const char* invalid_channels(const X& x, const Mask& mask) {
    return x.ndim == 3 && mask.ndim == 2 && mask.shape[0] == x.shape[0] && mask.shape[1] == x.shape[2]
               ? nullptr
               : "the images must be (B, L, C), mask (B, C)";
}
template <class X>
BP_INLINE std::int64_t samples_of_channels(const X& x) {
    return rows_of(kElementPiece, x.size() > 0 ? x.size() / x.shape[0] : x.shape[2]);
}

template <class T>
struct ChannelDropoutForward {
    static constexpr const char* name = "channel_dropout_forward";
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
        return same_shape(x, y) ? invalid_channels(x, mask) : "x and y must have one shape";
    }
    double flops() const { return double(x.size()) + 30.0 * double(mask.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return x.shape[2] == 0 ? 0 : pieces(x.shape[0], samples_of_channels(x)); }
};

// dx = dy · mask
template <class T>
struct ChannelDropoutBackward {
    static constexpr const char* name = "channel_dropout_backward";
    Tensor<const T> mask, dy;
    Tensor<T> dx;

    template <class Visit>
    void fields(Visit&& field) {
        field("mask", mask);
        field("dy", dy);
        field("dx", dx);
    }
    const char* invalid() const {
        return same_shape(dy, dx) ? invalid_channels(dy, mask) : "dy and dx must have one shape";
    }
    double flops() const { return double(dy.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(dy.size()); }
    std::int64_t tasks() const { return dy.size() > 0 ? pieces(dy.shape[0], samples_of_channels(dy)) : 0; }
};

using DropoutOps = BothDtypes<DropoutForward, DropoutBackward, ChannelDropoutForward, ChannelDropoutBackward>;

}  // namespace backpass
