// Images (B, H, W, C) in another size.
#pragma once
#include "fields.hpp"

namespace backpass {

// Where the pixels of the output (P, Q) lie in the input (H, W): the fields that forward and backward have in common.
struct Resizing {
    bool linear = false, align_corners = false;
    double scale_h = 0, scale_w = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("linear", linear);
        field("align_corners", align_corners);
        field("scale_h", scale_h);
        field("scale_w", scale_w);
    }
    template <class A, class B>
    static const char* invalid_for(const A& from, const B& to) {
        return from.ndim == 4 && to.ndim == 4 && from.shape[0] == to.shape[0] && from.shape[3] == to.shape[3]
                   ? nullptr
                   : "the images in and out must be (B, H, W, C) and (B, P, Q, C)";
    }
};

// Tasks: rows of the output.
template <class T>
struct ResizeForward : Resizing {
    static constexpr const char* name = "resize_forward";
    Tensor<const T> x;
    Tensor<T> y;
    std::int64_t height = 0, width = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
        field("height", height);
        field("width", width);
        Resizing::fields(field);
    }
    const char* invalid() const {
        if (const char* wrong = invalid_for(x, y)) return wrong;
        return y.shape[1] == height && y.shape[2] == width ? nullptr : "y must be (B, height, width, C)";
    }
    double flops() const { return (linear ? 8.0 : 0.0) * double(y.size()); }
    double bytes() const { return sizeof(T) * (double(x.size()) + double(y.size())); }
    BP_INLINE std::int64_t rows_per_task() const {
        return rows_of(kElementPiece, y.size() > 0 ? y.shape[2] * y.shape[3] : 0);
    }
    BP_INLINE std::int64_t tasks() const {
        return y.size() > 0 ? pieces(y.shape[0] * y.shape[1], rows_per_task()) : 0;
    }
};

// Tasks: images, since several rows of dy may have a share in one row of dx.
template <class T>
struct ResizeBackward : Resizing {
    static constexpr const char* name = "resize_backward";
    Tensor<const T> dy;
    Tensor<T> dx;

    template <class Visit>
    void fields(Visit&& field) {
        field("dy", dy);
        field("dx", dx);
        Resizing::fields(field);
    }
    const char* invalid() const { return invalid_for(dy, dx); }
    double flops() const { return (linear ? 8.0 : 1.0) * double(dy.size()); }
    double bytes() const { return sizeof(T) * (double(dx.size()) + double(dy.size())); }
    BP_INLINE std::int64_t tasks() const { return dx.size() > 0 ? dx.shape[0] : 0; }
};

using ResizeOps = BothDtypes<ResizeForward, ResizeBackward>;

}  // namespace backpass
