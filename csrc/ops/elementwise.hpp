// Ops that go element by element: activations and addition.
#pragma once
#include <string_view>

#include "fields.hpp"

namespace backpass {

template <class T>
struct ActivationForward {
    static constexpr const char* name = "activation_forward";
    Tensor<const T> x;
    Tensor<T> y, slope;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
        field("slope", slope, optional);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
    }
    const char* invalid() const {
        return same_size(x, y) && same_size(x, slope) ? nullptr : "x, y and slope must have one shape";
    }
    double flops() const { return 20.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return pieces(x.size(), kElementPiece); }
    std::int64_t rows() const { return shared_rows(x, y, slope); }
    static constexpr bool is_of_rows(std::string_view) { return true; }
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
        field("y", y);
        field("slope", slope, optional);
        field("dy", dy);
        field("dx", dx);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
    }
    const char* invalid() const {
        return same_size(y, slope) && same_size(y, dy) && same_size(y, dx)
                   ? nullptr
                   : "y, slope, dy and dx must have one shape";
    }
    double flops() const { return 4.0 * double(y.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(y.size()); }
    std::int64_t tasks() const { return pieces(y.size(), kElementPiece); }
    std::int64_t rows() const { return shared_rows(y, slope, dy, dx); }
    static constexpr bool is_of_rows(std::string_view) { return true; }
};

// y = a + b
template <class T>
struct Add {
    static constexpr const char* name = "add";
    Tensor<const T> a, b;
    Tensor<T> y;

    template <class Visit>
    void fields(Visit&& field) {
        field("a", a);
        field("b", b);
        field("y", y);
    }
    const char* invalid() const {
        return same_size(a, b) && same_size(a, y) ? nullptr : "a, b and y must have one shape";
    }
    double flops() const { return double(a.size()); }
    double bytes() const { return 3.0 * sizeof(T) * double(a.size()); }
    std::int64_t tasks() const { return pieces(a.size(), kElementPiece); }
    std::int64_t rows() const { return shared_rows(a, b, y); }
    static constexpr bool is_of_rows(std::string_view) { return true; }
};

// y = x, in the model's dtype
template <class T>
struct ToNumber {
    static constexpr const char* name = "to_number";
    Strided<const std::int64_t> x;
    Tensor<T> y;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
    }
    const char* invalid() const { return same_shape(x, y) ? nullptr : "x and y must have one shape"; }
    double flops() const { return double(x.size()); }
    double bytes() const { return double(sizeof(T) + 8) * double(x.size()); }
    std::int64_t tasks() const { return pieces(x.size(), kElementPiece); }
};

using ElementwiseOps = BothDtypes<ActivationForward, ActivationBackward, Add, ToNumber>;

}  // namespace backpass
