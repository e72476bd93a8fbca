// Convolution of images (B, H, W, C) by windows of weights (KH, KW, D, O), D = C / groups.
#pragma once
#include <string_view>

#include "fields.hpp"

namespace backpass {

// How the window slides: along one dimension of an image.
struct Slide {
    std::int64_t taps, stride, dilation, before, behind;

    BP_INLINE std::int64_t extent() const { return (taps - 1) * dilation + 1; }
    bool proper() const {
        const bool steps = is_size(taps, 1) && is_size(stride, 1) && is_size(dilation, 1);
        return steps && is_size(before, 0) && is_size(behind, 0);
    }
    // Whether it has `count` places on an image of this size.
    bool fits(std::int64_t size, std::int64_t count) const {
        if (!proper() || !is_size(size, 1)) return false;
        const std::int64_t left = size + before + behind - extent();
        return left >= 0 && left / stride + 1 == count;
    }
    // Whether `count` places give an image of this size, with so many more at its end.
    bool gives(std::int64_t size, std::int64_t count, std::int64_t extra) const {
        if (!proper() || !is_size(size, 1) || !is_size(count, 1) || !is_size(extra, 0)) return false;
        return (count - 1) * stride + extent() + extra - before - behind == size;
    }
};

// What both directions share.
struct ConvWindow {
    std::int64_t stride_h = 1, stride_w = 1, top = 0, left = 0, bottom = 0, right = 0;
    std::int64_t dilation_h = 1, dilation_w = 1, groups = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("stride_h", stride_h);
        field("stride_w", stride_w);
        field("top", top);
        field("left", left);
        field("bottom", bottom);
        field("right", right);
        field("dilation_h", dilation_h);
        field("dilation_w", dilation_w);
        field("groups", groups);
    }
    BP_INLINE Slide down(std::int64_t taps) const { return {taps, stride_h, dilation_h, top, bottom}; }
    BP_INLINE Slide across(std::int64_t taps) const { return {taps, stride_w, dilation_w, left, right}; }

    // Whether every channel has a window of its own.
    template <class W>
    BP_INLINE bool depthwise(const W& weight) const {
        return groups > 1 && weight.shape[2] == 1 && weight.shape[3] == groups;
    }

    // x and y: those of the convolution, whatever their height and width.
    template <class X, class W, class Y>
    const char* invalid_but_places(const X& x, const W& weight, const Y& y) const {
        if (x.ndim != 4 || y.ndim != 4 || weight.ndim != 4)
            return "x must be (B, H, W, C), weight (KH, KW, D, O), y and dy (B, P, Q, O)";
        if (groups < 1 || weight.shape[3] % groups || x.shape[3] % groups ||
            weight.shape[2] != x.shape[3] / groups || y.shape[3] != weight.shape[3])
            return "weight must be (KH, KW, C / groups, O), y and dy (B, P, Q, O), O a multiple of groups";
        if (y.shape[0] != x.shape[0]) return "x, y and dy must have as many images";
        return nullptr;
    }
    template <class X, class W, class Y>
    const char* invalid(const X& x, const W& weight, const Y& y) const {
        if (const char* what = invalid_but_places(x, weight, y)) return what;
        if (!down(weight.shape[0]).fits(x.shape[1], y.shape[1]) ||
            !across(weight.shape[1]).fits(x.shape[2], y.shape[2]))
            return "y and dy must be (B, P, Q, O), P and Q the places of the window";
        return nullptr;
    }
};

// Images to a task, and pieces of rows to an image where that is large: so that a task pays for itself.
struct ImageTasks {
    std::int64_t images, rows, per_task, bands;

    BP_INLINE static ImageTasks over(std::int64_t images, std::int64_t rows, std::int64_t row_size) {
        const std::int64_t size = rows * row_size;
        const std::int64_t bands = pieces(size, 16 * kElementPiece);
        return {images, rows, rows_of(kElementPiece, size), bands < 1 ? 1 : bands < rows ? bands : rows};
    }
    BP_INLINE std::int64_t tasks() const { return pieces(images, per_task) * bands; }
};

template <class T>
struct Conv2dForward {
    static constexpr const char* name = "conv2d_forward";
    Tensor<const T> x, weight, bias;
    Tensor<T> y, slope;
    Activation activation = Activation::identity;
    double alpha = 0;
    ConvWindow window;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight);
        field("bias", bias, optional);
        field("y", y);
        field("slope", slope, optional);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
        window.fields(field);
    }
    const char* invalid() const {
        if (const char* what = window.invalid(x, weight, y)) return what;
        if (!has_size(bias, weight.shape[3])) return "bias must be (O,)";
        if (!same_shape(y, slope)) return "slope must be (B, P, Q, O)";
        return nullptr;
    }
    double flops() const { return 2.0 * double(y.size()) * double(weight.rows()); }
    double bytes() const { return double(sizeof(T)) * double(x.size() + weight.size() + y.size()); }
    BP_INLINE ImageTasks image_tasks() const {
        return ImageTasks::over(y.shape[0], y.shape[1], y.shape[2] * y.shape[3]);
    }
    std::int64_t tasks() const { return image_tasks().tasks(); }
    std::int64_t rows() const { return x.shape[0]; }
    static constexpr bool is_of_rows(std::string_view name) { return name != "weight" && name != "bias"; }
};

// Tasks: those of dweight and dbias, then those of dx.
template <class T>
struct Conv2dBackward {
    static constexpr const char* name = "conv2d_backward";
    Tensor<const T> x, weight, dy, slope, other;
    Tensor<T> dx, dweight, dbias;
    Activation activation = Activation::identity;
    double alpha = 0;
    ConvWindow window;
    bool adds = false;  // dweight and dbias go on from what they are: images before these are in them

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight);
        field("dy", dy);
        field("slope", slope, optional);
        field("other", other, optional);
        field("dx", dx, optional);
        field("dweight", dweight, optional);
        field("dbias", dbias, optional);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
        window.fields(field);
    }
    const char* invalid() const {
        if (const char* what = window.invalid(x, weight, dy)) return what;
        if (!same_shape(weight, dweight)) return "dweight must be (KH, KW, D, O)";
        if (!same_shape(x, dx) || !same_shape(x, slope) || !same_shape(x, other))
            return "slope, other and dx must be (B, H, W, C)";
        if (!has_size(dbias, weight.shape[3])) return "dbias must be (O,)";
        return nullptr;
    }
    double flops() const {
        return 2.0 * (bool(dx) + bool(dweight)) * double(dy.size()) * double(weight.rows());
    }
    double bytes() const {
        return double(sizeof(T)) *
               double(2 * x.size() + 2 * weight.size() + dy.size() + (other ? x.size() : 0));
    }

    // A task of dweight: one row of the window, 64 columns of one group. Of a depthwise convolution all channels count as one group.
    static constexpr std::int64_t kColumns = 64;
    BP_INLINE bool depthwise() const { return window.depthwise(weight); }
    BP_INLINE std::int64_t groups() const { return depthwise() ? 1 : window.groups; }
    BP_INLINE std::int64_t column_pieces() const { return pieces(weight.shape[3] / groups(), kColumns); }
    BP_INLINE std::int64_t weight_tasks() const {
        return dweight || dbias ? weight.shape[0] * groups() * column_pieces() : 0;
    }
    BP_INLINE std::int64_t input_tasks() const {
        return dx ? ImageTasks::over(x.shape[0], 1, x.shape[1] * x.shape[2] * x.shape[3]).tasks() : 0;
    }
    std::int64_t tasks() const { return weight_tasks() + input_tasks(); }
    std::int64_t rows() const { return x.shape[0]; }
    static constexpr bool is_of_rows(std::string_view name) {
        return name != "weight" && name != "dweight" && name != "dbias";
    }
};

// y (B, P, Q, O) = dx of a convolution with weight (KH, KW, O / groups, C) for dy = x (B, H, W, C). `extra` rows and columns at the
// end of y are read by no window.
struct ConvTransposeWindow {
    ConvWindow window;
    std::int64_t extra_h = 0, extra_w = 0;

    template <class Visit>
    void fields(Visit&& field) {
        window.fields(field);
        field("extra_h", extra_h);
        field("extra_w", extra_w);
    }
    template <class X, class W, class Y>
    const char* invalid(const X& x, const W& weight, const Y& y) const {
        if (const char* what = window.invalid_but_places(y, weight, x)) return what;
        if (!window.down(weight.shape[0]).gives(y.shape[1], x.shape[1], extra_h) ||
            !window.across(weight.shape[1]).gives(y.shape[2], x.shape[2], extra_w))
            return "y and dy must be (B, P, Q, O), P and Q what the places of x give";
        return nullptr;
    }
};

template <class T>
struct ConvTranspose2dForward {
    static constexpr const char* name = "conv_transpose2d_forward";
    Tensor<const T> x, weight, bias;
    Tensor<T> y;
    ConvTransposeWindow transposed;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight);
        field("bias", bias, optional);
        field("y", y);
        transposed.fields(field);
    }
    const char* invalid() const {
        if (const char* what = transposed.invalid(x, weight, y)) return what;
        if (!has_size(bias, y.shape[3])) return "bias must be (O,)";
        return nullptr;
    }
    double flops() const { return 2.0 * double(x.size()) * double(weight.rows()); }
    double bytes() const { return double(sizeof(T)) * double(x.size() + weight.size() + y.size()); }
    // The convolution whose dx is y.
    BP_INLINE Conv2dBackward<T> convolution() const {
        Conv2dBackward<T> op;
        op.weight = weight;
        op.dy = x;
        op.dx = y;
        op.x.ndim = 4;
        for (int i = 0; i < 4; ++i) op.x.shape[i] = y.shape[i];
        op.window = transposed.window;
        return op;
    }
    std::int64_t tasks() const { return convolution().input_tasks(); }
};

// Tasks: those of dbias and dweight, then those of dx.
template <class T>
struct ConvTranspose2dBackward {
    static constexpr const char* name = "conv_transpose2d_backward";
    Tensor<const T> x, weight, dy;
    Tensor<T> dx, dweight, dbias;
    ConvTransposeWindow transposed;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight", weight);
        field("dy", dy);
        field("dx", dx, optional);
        field("dweight", dweight, optional);
        field("dbias", dbias, optional);
        transposed.fields(field);
    }
    const char* invalid() const {
        if (const char* what = transposed.invalid(x, weight, dy)) return what;
        if (!same_shape(weight, dweight)) return "dweight must be (KH, KW, D, C)";
        if (!same_shape(x, dx)) return "dx must be (B, H, W, C)";
        if (!has_size(dbias, dy.shape[3])) return "dbias must be (O,)";
        return nullptr;
    }
    double flops() const {
        return 2.0 * (bool(dx) + bool(dweight)) * double(x.size()) * double(weight.rows());
    }
    double bytes() const { return double(sizeof(T)) * double(2 * x.size() + 2 * weight.size() + dy.size()); }
    // The convolutions whose dweight and whose y are this op's dweight and dx.
    BP_INLINE Conv2dBackward<T> weight_convolution() const {
        Conv2dBackward<T> op;
        op.x = dy;
        op.weight = weight;
        op.dy = x;
        op.dweight = dweight;
        op.window = transposed.window;
        return op;
    }
    BP_INLINE Conv2dForward<T> input_convolution() const {
        Conv2dForward<T> op;
        op.x = dy;
        op.weight = weight;
        op.y = dx;
        op.window = transposed.window;
        return op;
    }
    BP_INLINE std::int64_t bias_tasks() const { return dbias ? pieces(dy.shape[3], kChannelPiece) : 0; }
    std::int64_t tasks() const {
        return bias_tasks() + weight_convolution().weight_tasks() + (dx ? input_convolution().tasks() : 0);
    }
};

using ConvOps = BothDtypes<Conv2dForward, Conv2dBackward, ConvTranspose2dForward, ConvTranspose2dBackward>;

}  // namespace backpass
