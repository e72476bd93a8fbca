// Average pooling of images (B, H, W, C), by a window that slides or that follows from the size of the output.
#pragma once
#include "pool_window.hpp"

namespace backpass {

// A sliding window, and what its sums are divided by.
struct AvgWindow : PoolWindow {
    bool count_include_pad = true;
    std::int64_t divisor_override = 0;

    template <class Visit>
    void fields(Visit&& field) {
        PoolWindow::fields(field);
        field("count_include_pad", count_include_pad);
        field("divisor_override", divisor_override);
    }
    BP_INLINE double divisor(const Span& down, const Span& across) const {
        if (divisor_override) return double(divisor_override);
        const std::int64_t count =
            count_include_pad ? down.length * across.length : down.count() * across.count();
        return count ? double(count) : 1;
    }
};

template <class T, class Window>
struct AvgPoolingForward {
    Tensor<const T> x;
    Tensor<T> y;
    Window window;

    template <class Visit>
    void arrays(Visit&& field) {
        field("x", x);
        field("y", y);
    }
    const char* invalid() const { return invalid_pooling(window, x, y); }
    double flops() const { return double(x.size()); }
    double bytes() const { return double(sizeof(T)) * double(x.size() + y.size()); }
    BP_INLINE auto down() const { return window.down(x.shape[1], y.shape[1]); }
    BP_INLINE auto across() const { return window.across(x.shape[2], y.shape[2]); }
    // Every array has a row for each image.
    std::int64_t rows() const { return x.shape[0]; }
    static constexpr bool is_of_rows(std::string_view) { return true; }
    BP_INLINE std::int64_t rows_per_task() const { return pooled_rows_per_task(x, y); }
    BP_INLINE std::int64_t tasks() const { return pooled_row_tasks(x, y); }
};

// dx = f'(z) Σ dy / divisor, where x = f(z).
template <class T, class Window>
struct AvgPoolingBackward {
    Tensor<const T> x, dy, slope;
    Tensor<T> dx;
    Window window;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Visit>
    void arrays(Visit&& field) {
        field("x", x);
        field("dy", dy);
        field("slope", slope, optional);
        field("dx", dx);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
    }
    const char* invalid() const {
        if (const char* what = invalid_pooling(window, dx, dy)) return what;
        return same_shape(dx, x) && same_shape(dx, slope) ? nullptr : "x, slope and dx must be (B, H, W, C)";
    }
    double flops() const { return double(dx.size()); }
    double bytes() const { return double(sizeof(T)) * double(2 * dx.size() + dy.size()); }
    BP_INLINE auto down() const { return window.down(dx.shape[1], dy.shape[1]); }
    BP_INLINE auto across() const { return window.across(dx.shape[2], dy.shape[2]); }
    std::int64_t rows() const { return dx.shape[0]; }
    static constexpr bool is_of_rows(std::string_view) { return true; }
    BP_INLINE std::int64_t per_task() const { return images_per_task(dx); }
    BP_INLINE std::int64_t tasks() const { return image_tasks(dx); }
};

template <class T>
struct AvgPool2dForward : AvgPoolingForward<T, AvgWindow> {
    static constexpr const char* name = "avg_pool2d_forward";

    template <class Visit>
    void fields(Visit&& field) {
        this->arrays(field);
        this->window.fields(field);
    }
};
template <class T>
struct AvgPool2dBackward : AvgPoolingBackward<T, AvgWindow> {
    static constexpr const char* name = "avg_pool2d_backward";

    template <class Visit>
    void fields(Visit&& field) {
        this->arrays(field);
        this->window.fields(field);
    }
};
template <class T>
struct AdaptiveAvgPool2dForward : AvgPoolingForward<T, AdaptiveOutput> {
    static constexpr const char* name = "adaptive_avg_pool2d_forward";

    template <class Visit>
    void fields(Visit&& field) {
        this->arrays(field);
        this->window.fields(field);
    }
};
template <class T>
struct AdaptiveAvgPool2dBackward : AvgPoolingBackward<T, AdaptiveWindow> {
    static constexpr const char* name = "adaptive_avg_pool2d_backward";

    template <class Visit>
    void fields(Visit&& field) {
        this->arrays(field);
    }
};

using AvgPoolOps =
    BothDtypes<AvgPool2dForward, AvgPool2dBackward, AdaptiveAvgPool2dForward, AdaptiveAvgPool2dBackward>;

}  // namespace backpass
