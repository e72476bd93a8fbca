// Augmentation while training: noise on any input; images shifted, mirrored and partly cut out.
#pragma once
#include "fields.hpp"

namespace backpass {

// A task is the 8 images that one block of a random draw serves, 8 words each.
inline constexpr std::int64_t kImageWords = 8;
inline constexpr std::int64_t kImagePiece = 8;

// y = x + std · normal
template <class T>
struct GaussianNoise {
    static constexpr const char* name = "gaussian_noise";
    Tensor<const T> x;
    Tensor<const std::int64_t> step;
    Tensor<T> y;
    double std = 0;
    std::int64_t seed = 0, stream = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("step", step);
        field("y", y);
        field("std", std);
        field("seed", seed);
        field("stream", stream);
    }
    const char* invalid() const {
        if (!has_size(step, 1)) return "step must be (1,)";
        return same_size(x, y) ? nullptr : "x and y must have one shape";
    }
    double flops() const { return 60.0 * double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return pieces(x.size(), kElementPiece); }
};

// Images (B, P, H, W, C): P planes of C channels, of which one is 1.
template <class A>
bool are_images(const A& a) {
    constexpr std::int64_t most = 1 << 20;
    return a.ndim == 5 && a.shape[2] <= most && a.shape[3] <= most;
}

// How images are moved: the fields that forward and backward have in common.
struct ImageMoves {
    Tensor<const std::int64_t> step;
    std::int64_t shift = 0, cutout = 0, seed = 0, stream = 0;
    double flip = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("step", step);
        field("shift", shift);
        field("flip", flip);
        field("cutout", cutout);
        field("seed", seed);
        field("stream", stream);
    }
    template <class A, class B>
    const char* invalid_for(const A& from, const B& to) const {
        constexpr std::int64_t most = 1 << 20;
        if (!has_size(step, 1)) return "step must be (1,)";
        if (!are_images(from) || !are_images(to))
            return "images must be (B, P, H, W, C), at most 2^20 pixels high and wide";
        if (!same_shape(from, to)) return "the images in and out must have one shape";
        if (shift < 0 || shift > most || cutout < 0 || cutout > most)
            return "shift and cutout must be 0 to 2^20";
        return flip >= 0 && flip <= 1 ? nullptr : "flip must be in [0, 1]";
    }
};

template <class T>
struct AugmentImagesForward {
    static constexpr const char* name = "augment_images_forward";
    Tensor<const T> x;
    Tensor<T> y;
    ImageMoves moves;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
        moves.fields(field);
    }
    const char* invalid() const { return moves.invalid_for(x, y); }
    double flops() const { return double(x.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return x.size() == 0 ? 0 : pieces(x.shape[0], kImagePiece); }
};

template <class T>
struct AugmentImagesBackward {
    static constexpr const char* name = "augment_images_backward";
    Tensor<const T> dy;
    Tensor<T> dx;
    ImageMoves moves;

    template <class Visit>
    void fields(Visit&& field) {
        field("dy", dy);
        field("dx", dx);
        moves.fields(field);
    }
    const char* invalid() const { return moves.invalid_for(dy, dx); }
    double flops() const { return double(dy.size()); }
    double bytes() const { return 2.0 * sizeof(T) * double(dy.size()); }
    std::int64_t tasks() const { return dy.size() == 0 ? 0 : pieces(dy.shape[0], kImagePiece); }
};

using AugmentOps = BothDtypes<GaussianNoise, AugmentImagesForward, AugmentImagesBackward>;

}  // namespace backpass
