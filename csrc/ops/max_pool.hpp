// Maximum pooling of images (B, H, W, C), by a window that slides or that follows from the size of the output.
#pragma once
#include "pool_window.hpp"

namespace backpass {

// The number of a maximum's place: within its window, or with an adaptive window within the image.
struct PlaceInWindow {
    using Type = std::uint8_t;
    static constexpr std::int64_t most = 256;

    BP_INLINE static std::int64_t row(const PoolWindow& window, std::int64_t) { return window.kernel_w; }
    BP_INLINE static std::int64_t of(const Span& down, const Span& across, std::int64_t row) {
        return down.first * row + across.first;
    }
    static bool fits(const PoolWindow& window, std::int64_t, std::int64_t) {
        return window.kernel_h * window.kernel_w <= most;
    }
};
struct PlaceInImage {
    using Type = std::int32_t;

    BP_INLINE static std::int64_t row(const AdaptiveWindow&, std::int64_t width) { return width; }
    BP_INLINE static std::int64_t of(const Span& down, const Span& across, std::int64_t row) {
        return down.begin() * row + across.begin();
    }
    static bool fits(const AdaptiveWindow&, std::int64_t height, std::int64_t width) {
        return height * width < std::int64_t(1) << 31;
    }
};

template <class T, class Window, class Place>
struct MaxPoolingForward {
    using Number = Place;
    Tensor<const T> x;
    Tensor<T> y;
    Tensor<typename Place::Type> index;
    Window window;

    template <class Visit>
    void arrays(Visit&& field) {
        field("x", x);
        field("y", y);
        field("index", index, optional);
    }
    const char* invalid() const {
        if (const char* what = invalid_pooling(window, x, y)) return what;
        if (!same_shape(y, index)) return "index must be (B, P, Q, C)";
        return Place::fits(window, x.shape[1], x.shape[2]) ? nullptr : "the window has too many places";
    }
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

// dx = Σ dy f'(z) at the maxima, where x = f(z). Of an activation without a stored slope, f'(z) follows from y.
template <class T, class Window, class Place>
struct MaxPoolingBackward {
    using Number = Place;
    Tensor<const T> x, y;
    Tensor<const typename Place::Type> index;
    Tensor<const T> dy, slope;
    Tensor<T> dx;
    Window window;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Visit>
    void arrays(Visit&& field) {
        field("x", x);
        field("y", y);
        field("index", index);
        field("dy", dy);
        field("slope", slope, optional);
        field("dx", dx);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
    }
    const char* invalid() const {
        if (const char* what = invalid_pooling(window, dx, dy)) return what;
        if (!same_shape(dx, x) || !same_shape(dx, slope)) return "x, slope and dx must be (B, H, W, C)";
        if (!same_shape(dy, y) || !same_shape(dy, index)) return "y, index and dy must be (B, P, Q, C)";
        return Place::fits(window, dx.shape[1], dx.shape[2]) ? nullptr : "the window has too many places";
    }
    double flops() const { return double(dx.size()); }
    double bytes() const { return double(sizeof(T)) * double(dx.size() + 2 * dy.size()); }
    BP_INLINE auto down() const { return window.down(dx.shape[1], dy.shape[1]); }
    BP_INLINE auto across() const { return window.across(dx.shape[2], dy.shape[2]); }
    std::int64_t rows() const { return dx.shape[0]; }
    static constexpr bool is_of_rows(std::string_view) { return true; }
    BP_INLINE std::int64_t per_task() const { return images_per_task(dx); }
    BP_INLINE std::int64_t tasks() const { return image_tasks(dx); }
};

template <class T>
struct MaxPool2dForward : MaxPoolingForward<T, PoolWindow, PlaceInWindow> {
    static constexpr const char* name = "max_pool2d_forward";

    template <class Visit>
    void fields(Visit&& field) {
        this->arrays(field);
        this->window.fields(field);
        this->window.dilation_fields(field);
    }
};
template <class T>
struct MaxPool2dBackward : MaxPoolingBackward<T, PoolWindow, PlaceInWindow> {
    static constexpr const char* name = "max_pool2d_backward";

    template <class Visit>
    void fields(Visit&& field) {
        this->arrays(field);
        this->window.fields(field);
        this->window.dilation_fields(field);
    }
};
template <class T>
struct AdaptiveMaxPool2dForward : MaxPoolingForward<T, AdaptiveOutput, PlaceInImage> {
    static constexpr const char* name = "adaptive_max_pool2d_forward";

    template <class Visit>
    void fields(Visit&& field) {
        this->arrays(field);
        this->window.fields(field);
    }
};
template <class T>
struct AdaptiveMaxPool2dBackward : MaxPoolingBackward<T, AdaptiveWindow, PlaceInImage> {
    static constexpr const char* name = "adaptive_max_pool2d_backward";

    template <class Visit>
    void fields(Visit&& field) {
        this->arrays(field);
    }
};

using MaxPoolOps =
    BothDtypes<MaxPool2dForward, MaxPool2dBackward, AdaptiveMaxPool2dForward, AdaptiveMaxPool2dBackward>;

}  // namespace backpass
