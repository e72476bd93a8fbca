// Ring 0: ops that go element by element (nn/activation.py, nn/add.py, nn/dropout.py).
#pragma once
#include "fields.hpp"

namespace backpass {

inline constexpr std::int64_t kElementPiece =
    16384;  // elements of one task; a multiple of 64, the block of a random draw

template <class T>
struct ActivationForward {
    static constexpr const char* name = "activation_forward";
    Tensor<const T> x;
    Tensor<T> y, slope;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x), field("y", y), field("slope", slope, optional);
        field("activation", activation, kActivationNames), field("alpha", alpha);
    }
    const char* invalid() const {
        return same_size(x, y) && same_size(x, slope) ? nullptr : "x, y and slope must have one shape";
    }
    double flops() const { return 20.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return pieces(x.size(), kElementPiece); }
};

template <class T>
struct ActivationBackward {
    static constexpr const char* name = "activation_backward";
    Tensor<const T> y, slope, dy;
    Tensor<T> dx;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("y", y), field("slope", slope, optional), field("dy", dy), field("dx", dx);
        field("activation", activation, kActivationNames), field("alpha", alpha);
    }
    const char* invalid() const {
        return same_size(y, slope) && same_size(y, dy) && same_size(y, dx)
                   ? nullptr
                   : "y, slope, dy and dx must have one shape";
    }
    double flops() const { return 4.0 * double(y.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(y.size()); }
    std::int64_t tasks() const { return pieces(y.size(), kElementPiece); }
};

// y = a + b
template <class T>
struct Add {
    static constexpr const char* name = "add";
    Tensor<const T> a, b;
    Tensor<T> y;

    template <class Visit>
    void fields(Visit&& field) {
        field("a", a), field("b", b), field("y", y);
    }
    const char* invalid() const {
        return same_size(a, b) && same_size(a, y) ? nullptr : "a, b and y must have one shape";
    }
    double flops() const { return double(a.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(a.size()); }
    std::int64_t tasks() const { return pieces(a.size(), kElementPiece); }
};

// y = x, then `rounds` times y = y · factor + term: nothing but arithmetic in registers, to measure the core's peak with.
template <class T>
struct MultiplyAdd {
    static constexpr const char* name = "multiply_add";
    Tensor<const T> x;
    Tensor<T> y;
    double factor = 1, term = 0;
    std::int64_t rounds = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x), field("y", y);
        field("factor", factor), field("term", term), field("rounds", rounds);
    }
    const char* invalid() const {
        if (rounds < 0 || rounds > 1 << 20) return "rounds must be 0 to 2^20";  // a kernel ends
        return same_size(x, y) ? nullptr : "x and y must have one shape";
    }
    double flops() const { return 2.0 * double(x.size()) * double(rounds); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return pieces(x.size(), kElementPiece); }
};

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
        field("x", x), field("step", step), field("y", y), field("mask", mask);
        field("p", p), field("seed", seed), field("stream", stream);
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
        field("mask", mask), field("dy", dy), field("dx", dx);
    }
    const char* invalid() const {
        return same_size(mask, dy) && same_size(mask, dx) ? nullptr : "mask, dy and dx must have one shape";
    }
    double flops() const { return double(dy.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(dy.size()); }
    std::int64_t tasks() const { return pieces(dy.size(), kElementPiece); }
};

}  // namespace backpass
