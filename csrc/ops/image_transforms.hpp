// Images (B, P, H, W, C) cropped, rotated and changed in brightness and contrast at random.
#pragma once
#include "augment.hpp"

namespace backpass {

// The numbers that the draws of an op depend on.
struct ImageDraw {
    Tensor<const std::int64_t> step;
    std::int64_t seed = 0, stream = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("step", step);
        field("seed", seed);
        field("stream", stream);
    }
};

// What the ops have in common that make images of images: a task is some images.
template <class From, class To>
struct ImageTransform {
    From from;
    To to;
    ImageDraw draw;

    const char* invalid_images(bool one_shape) const {
        if (!has_size(draw.step, 1)) return "step must be (1,)";
        if (!are_images(from) || !are_images(to))
            return "images must be (B, P, H, W, C), at most 2^20 pixels high and wide";
        for (int i = 0; i < 5; ++i)
            if (from.shape[i] != to.shape[i] && (one_shape || (i != 2 && i != 3)))
                return "the images in and out do not fit together";
        return nullptr;
    }
    double bytes() const { return double(sizeof(*to.data)) * double(from.size() + to.size()); }
    std::int64_t tasks() const { return to.size() == 0 ? 0 : pieces(to.shape[0], kImagePiece); }
};

// Where the crops of images begin: at a random one of down x right places, the first (top, left).
struct CropPlaces {
    std::int64_t top = 0, left = 0, down = 1, right = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("top", top);
        field("left", left);
        field("down", down);
        field("right", right);
    }
    const char* invalid() const {
        constexpr std::int64_t most = 1 << 20;
        const bool near = top >= -most && top <= most && left >= -most && left <= most;
        return near && down >= 1 && down <= 2 * most && right >= 1 && right <= 2 * most
                   ? nullptr
                   : "top and left must be -2^20 to 2^20, down and right 1 to 2^21";
    }
};

template <class T>
struct CropImagesForward : ImageTransform<Tensor<const T>, Tensor<T>> {
    static constexpr const char* name = "crop_images_forward";
    CropPlaces places;
    std::int64_t height = 0, width = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", this->from);
        field("y", this->to);
        this->draw.fields(field);
        places.fields(field);
        field("height", height);
        field("width", width);
    }
    const char* invalid() const {
        if (const char* wrong = this->invalid_images(false)) return wrong;
        if (this->to.shape[2] != height || this->to.shape[3] != width) return "y must be height x width";
        return places.invalid();
    }
    double flops() const { return 0; }
};

template <class T>
struct CropImagesBackward : ImageTransform<Tensor<const T>, Tensor<T>> {
    static constexpr const char* name = "crop_images_backward";
    CropPlaces places;

    template <class Visit>
    void fields(Visit&& field) {
        field("dy", this->from);
        field("dx", this->to);
        this->draw.fields(field);
        places.fields(field);
    }
    const char* invalid() const {
        const char* wrong = this->invalid_images(false);
        return wrong ? wrong : places.invalid();
    }
    double flops() const { return 0; }
};

// y = b (c x + (1 - c) mean)
template <class T>
struct JitterImages : ImageTransform<Tensor<const T>, Tensor<T>> {
    double brightness = 0, contrast = 0;

    template <class Visit>
    void scalars(Visit&& field) {
        this->draw.fields(field);
        field("brightness", brightness);
        field("contrast", contrast);
    }
    const char* invalid() const {
        if (const char* wrong = this->invalid_images(true)) return wrong;
        return brightness >= 0 && contrast >= 0 ? nullptr : "brightness and contrast must be at least 0";
    }
    double flops() const { return 4.0 * double(this->to.size()); }
};
template <class T>
struct JitterImagesForward : JitterImages<T> {
    static constexpr const char* name = "jitter_images_forward";
    template <class Visit>
    void fields(Visit&& field) {
        field("x", this->from);
        field("y", this->to);
        this->scalars(field);
    }
};
template <class T>
struct JitterImagesBackward : JitterImages<T> {
    static constexpr const char* name = "jitter_images_backward";
    template <class Visit>
    void fields(Visit&& field) {
        field("dy", this->from);
        field("dx", this->to);
        this->scalars(field);
    }
};

// y = x rotated by low to high degrees
template <class T>
struct RotateImages : ImageTransform<Tensor<const T>, Tensor<T>> {
    double low = 0, high = 0;

    template <class Visit>
    void scalars(Visit&& field) {
        this->draw.fields(field);
        field("low", low);
        field("high", high);
    }
    const char* invalid() const {
        if (const char* wrong = this->invalid_images(true)) return wrong;
        constexpr double most = 1e6;
        const bool good = low >= -most && low <= most && high >= -most && high <= most;
        return good ? nullptr : "low and high must be degrees from -10^6 to 10^6";
    }
    double flops() const { return 8.0 * double(this->to.size()); }
};
template <class T>
struct RotateImagesForward : RotateImages<T> {
    static constexpr const char* name = "rotate_images_forward";
    template <class Visit>
    void fields(Visit&& field) {
        field("x", this->from);
        field("y", this->to);
        this->scalars(field);
    }
};
template <class T>
struct RotateImagesBackward : RotateImages<T> {
    static constexpr const char* name = "rotate_images_backward";
    template <class Visit>
    void fields(Visit&& field) {
        field("dy", this->from);
        field("dx", this->to);
        this->scalars(field);
    }
};

using ImageTransformOps = BothDtypes<CropImagesForward, CropImagesBackward, JitterImagesForward,
                                     JitterImagesBackward, RotateImagesForward, RotateImagesBackward>;

}  // namespace backpass
