// The windows of pooling over images (B, H, W, C): which places of the input belong to which output.
#pragma once
#include <string_view>

#include "fields.hpp"

namespace backpass {

// What a window covers along one dimension: its taps [first, last) lie within the input, tap i at origin + i * dilation.
struct Span {
    std::int64_t origin, dilation, first, last;
    std::int64_t length;  // within the padded input

    BP_INLINE std::int64_t begin() const { return origin + first * dilation; }
    BP_INLINE std::int64_t count() const { return last > first ? last - first : 0; }
};

// a / b rounded up, for any a and b > 0.
BP_INLINE std::int64_t divided_up(std::int64_t a, std::int64_t b) {
    return b == 1 ? a : a > 0 ? (a - 1) / b + 1 : -(-a / b);
}

// Places [begin, end).
struct Places {
    std::int64_t begin, end;
};

// A window that slides along one dimension.
struct Slider {
    std::int64_t size, places, taps, stride, padding, dilation;

    BP_INLINE Span at(std::int64_t place) const {
        const std::int64_t origin = place * stride - padding, end = origin + (taps - 1) * dilation + 1;
        const std::int64_t first = origin < 0 ? divided_up(-origin, dilation) : 0;
        const std::int64_t last = end > size ? divided_up(size - origin, dilation) : taps;
        return {origin, dilation, first, last, (end < size + padding ? end : size + padding) - origin};
    }
    // The places whose taps all lie within the input: `at` differs by `stride` in its origin from one to the next.
    BP_INLINE Places whole() const {
        const std::int64_t last = size + padding - (taps - 1) * dilation - 1;
        const std::int64_t end = last < 0 ? 0 : last / stride + 1;
        return {divided_up(padding, stride), end < places ? end : places};
    }
    // Whether no place of the input belongs to two windows; whether each belongs to one.
    BP_INLINE bool apart() const { return places == 1 || stride >= (taps - 1) * dilation + 1; }
    BP_INLINE bool covers() const {
        return dilation == 1 && stride <= taps && places * stride - stride + taps - padding >= size;
    }
    // Whether it has as many places as it says; with `ceil` rounded up, but each begins in the input or in front of it.
    bool fits(bool ceil) const {
        if (!is_size(size, 1) || !is_size(places, 1) || !is_size(taps, 1) || !is_size(stride, 1))
            return false;
        if (!is_size(padding, 0) || !is_size(dilation, 1)) return false;
        const std::int64_t left = size + 2 * padding - (taps - 1) * dilation - 1 + (ceil ? stride - 1 : 0);
        std::int64_t count = left < 0 ? 0 : left / stride + 1;
        if (ceil && count > 0 && (count - 1) * stride >= size + padding) --count;
        return places == count;
    }
};

// Windows from ⌊place size / places⌋ to ⌈(place + 1) size / places⌉.
struct Divider {
    std::int64_t size, places, stride;

    Divider(std::int64_t size, std::int64_t places)
        : size(size), places(places), stride(places > 0 ? size / places : 0) {}

    BP_INLINE Span at(std::int64_t place) const {
        const std::int64_t begin = place * size / places, end = ((place + 1) * size - 1) / places + 1;
        return {begin, 1, 0, end - begin, end - begin};
    }
    // See Slider.
    BP_INLINE Places whole() const { return {0, apart() ? places : 0}; }
    BP_INLINE bool apart() const { return size % places == 0; }
    BP_INLINE bool covers() const { return true; }
    bool fits() const { return is_size(size, 1) && is_size(places, 1); }
};

// The scalars of a sliding window. Maxima have a dilation.
struct PoolWindow {
    std::int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, padding_h = 0, padding_w = 0;
    std::int64_t dilation_h = 1, dilation_w = 1;
    bool ceil_mode = false;

    template <class Visit>
    void fields(Visit&& field) {
        field("kernel_h", kernel_h);
        field("kernel_w", kernel_w);
        field("stride_h", stride_h);
        field("stride_w", stride_w);
        field("padding_h", padding_h);
        field("padding_w", padding_w);
        field("ceil_mode", ceil_mode);
    }
    template <class Visit>
    void dilation_fields(Visit&& field) {
        field("dilation_h", dilation_h);
        field("dilation_w", dilation_w);
    }
    BP_INLINE Slider down(std::int64_t size, std::int64_t places) const {
        return {size, places, kernel_h, stride_h, padding_h, dilation_h};
    }
    BP_INLINE Slider across(std::int64_t size, std::int64_t places) const {
        return {size, places, kernel_w, stride_w, padding_w, dilation_w};
    }
    bool fits(const Slider& down, const Slider& across) const {
        return down.fits(ceil_mode) && across.fits(ceil_mode);
    }
};

// An adaptive window follows from the shapes.
struct AdaptiveWindow {
    BP_INLINE Divider down(std::int64_t size, std::int64_t places) const { return {size, places}; }
    BP_INLINE Divider across(std::int64_t size, std::int64_t places) const { return {size, places}; }
    BP_INLINE double divisor(const Span& down, const Span& across) const {
        return double(down.length * across.length);
    }
    bool fits(const Divider& down, const Divider& across) const { return down.fits() && across.fits(); }
};

// The same with the scalars of a forward op, which say how many places there are.
struct AdaptiveOutput : AdaptiveWindow {
    std::int64_t output_h = 1, output_w = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("output_h", output_h);
        field("output_w", output_w);
    }
    bool fits(const Divider& down, const Divider& across) const {
        return AdaptiveWindow::fits(down, across) && down.places == output_h && across.places == output_w;
    }
};

// What is wrong with the shapes of an image (B, H, W, C) and what is pooled of it (B, P, Q, C).
template <class Window, class X, class Y>
const char* invalid_pooling(const Window& window, const X& x, const Y& y) {
    if (x.ndim != 4 || y.ndim != 4) return "x and dx must be (B, H, W, C), y and dy (B, P, Q, C)";
    if (x.shape[0] != y.shape[0] || x.shape[3] != y.shape[3])
        return "x and y, or dx and dy, must have as many images and channels";
    if (!window.fits(window.down(x.shape[1], y.shape[1]), window.across(x.shape[2], y.shape[2])))
        return "y and dy must be (B, P, Q, C), P and Q the places of the window";
    return nullptr;
}

// Tasks of a forward op: rows of the output, enough of them to read a piece of the input.
template <class X, class Y>
BP_INLINE std::int64_t pooled_rows_per_task(const X& x, const Y& y) {
    const std::int64_t rows = y.shape[0] * y.shape[1];
    return rows_of(kElementPiece, x.size() / (rows > 0 ? rows : 1) + y.shape[2] * y.shape[3]);
}
template <class X, class Y>
BP_INLINE std::int64_t pooled_row_tasks(const X& x, const Y& y) {
    return y.size() == 0 ? 0 : pieces(y.shape[0] * y.shape[1], pooled_rows_per_task(x, y));
}

// Tasks of a backward op: whole images, because windows overlap.
template <class X>
BP_INLINE std::int64_t images_per_task(const X& x) {
    return rows_of(kElementPiece, x.shape[1] * x.shape[2] * x.shape[3]);
}
template <class X>
BP_INLINE std::int64_t image_tasks(const X& x) {
    return x.size() == 0 ? 0 : pieces(x.shape[0], images_per_task(x));
}

}  // namespace backpass
