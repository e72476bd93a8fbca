// Images cropped, rotated and changed in brightness and contrast at random.
#include "../ops/image_transforms.hpp"
#include "image_words.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class Op, class Work>
BP_INLINE void images(const Op& op, Range range, Work work) {
    each_image(op.draw.step, op.draw.stream, op.draw.seed, range, op.to.shape[0], work);
}

// ---- crops ------------------------------------------------------------------------------------------------

// The part of an image along one axis that a crop from `start` on shows: pixels [begin, end) of the image.
BP_INLINE Range shown(Index size, Index start, Index crop) {
    const Index begin = start > 0 ? start : 0, end = start + crop < size ? start + crop : size;
    return {begin, end > begin ? end : begin};
}

// visit(in the whole image, in the crop, how many elements) for each row of an image that its crop shows.
template <class Whole, class Crop, class Visit>
BP_INLINE void shown_rows(const CropPlaces& places, const Word* words, const Whole& whole, const Crop& crop,
                          Index image, Visit visit) {
    const Index top = places.top + below(words[0], places.down),
                left = places.left + below(words[1], places.right), channels = whole.shape[4];
    const Range rows = shown(whole.shape[2], top, crop.shape[2]),
                columns = shown(whole.shape[3], left, crop.shape[3]);
    const Index count = (columns.end - columns.begin) * channels;
    if (count <= 0) return;
    for (Index p = image * whole.shape[1]; p < (image + 1) * whole.shape[1]; ++p)
        for (Index row = rows.begin; row < rows.end; ++row)
            visit(((p * whole.shape[2] + row) * whole.shape[3] + columns.begin) * channels,
                  ((p * crop.shape[2] + row - top) * crop.shape[3] + columns.begin - left) * channels, count);
}

template <class T>
BP_INLINE Index image_size(const Tensor<T>& images) {
    return images.shape[1] * images.shape[2] * images.shape[3] * images.shape[4];
}

template <class T>
void crop_images_forward(const CropImagesForward<T>& op, Range range, Scratch) {
    images(op, range, [&](Index image, const Word* words) BP_INLINED {
        const Index size = image_size(op.to);
        __builtin_memset(op.to.data + image * size, 0, sizeof(T) * std::uint64_t(size));
        shown_rows(op.places, words, op.from, op.to, image, [&](Index x, Index y, Index count) BP_INLINED {
            __builtin_memcpy(op.to.data + y, op.from.data + x, sizeof(T) * std::uint64_t(count));
        });
    });
}

template <class T>
void crop_images_backward(const CropImagesBackward<T>& op, Range range, Scratch) {
    images(op, range, [&](Index image, const Word* words) BP_INLINED {
        const Index size = image_size(op.to);
        __builtin_memset(op.to.data + image * size, 0, sizeof(T) * std::uint64_t(size));
        shown_rows(op.places, words, op.to, op.from, image, [&](Index dx, Index dy, Index count) BP_INLINED {
            __builtin_memcpy(op.to.data + dx, op.from.data + dy, sizeof(T) * std::uint64_t(count));
        });
    });
}

// ---- brightness and contrast ------------------------------------------------------------------------------

// Of red, green and blue in the grey of an image (ITU-R 601).
constexpr double kGrey[] = {0.2989, 0.587, 0.114};

struct Jitter {
    double scale, share;
};

template <class Op>
BP_INLINE Jitter jitter_of(const Op& op, const Word* words) {
    const auto factor = [](Word word, double most)
                            BP_INLINED { return between(word, most < 1 ? 1 - most : 0, 1 + most); };
    const double b = factor(words[0], op.brightness), c = factor(words[1], op.contrast);
    return {b * c, b * (1 - c)};
}

// Σ weight x over an image, each pixel on its own: one order of the sum for both orders of memory.
template <class T, class Weight>
BP_INLINE double weighted_sum(const T* x, const Tensor<const T>& shape, Weight weight) {
    const Index planes = shape.shape[1], channels = shape.shape[4], pixels = shape.shape[2] * shape.shape[3];
    double parts[8] = {};
    for (Index i = 0; i < pixels; ++i) {
        double pixel = 0;
        for (Index p = 0; p < planes; ++p)
            for (Index c = 0; c < channels; ++c)
                pixel += rounded(weight(p * channels + c) * double(x[(p * pixels + i) * channels + c]));
        parts[i % 8] += pixel;
    }
    return ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7]));
}

template <class T>
BP_INLINE double grey(const Tensor<const T>& shape, Index channel) {
    const Index channels = shape.shape[1] * shape.shape[4];
    const double pixels = double(shape.shape[2]) * double(shape.shape[3]);
    return (channels == 3 ? kGrey[channel] : 1 / double(channels)) / pixels;
}

template <class T>
void jitter_images_forward(const JitterImagesForward<T>& op, Range range, Scratch) {
    const Index size = image_size(op.from);
    images(op, range, [&](Index image, const Word* words) BP_INLINED {
        const T* x = op.from.data + image * size;
        const Jitter jitter = jitter_of(op, words);
        const double mean =
            weighted_sum(x, op.from, [&](Index channel) BP_INLINED { return grey(op.from, channel); });
        const vec<T> scale = broadcast<T>(T(jitter.scale)), offset = broadcast<T>(T(jitter.share * mean));
        each_vector<T>(Range{image * size, (image + 1) * size}, [&](Index i, int n) BP_INLINED {
            store_some(op.to.data + i, scale * load_some(op.from.data + i, n) + offset, n);
        });
    });
}

template <class T>
void jitter_images_backward(const JitterImagesBackward<T>& op, Range range, Scratch) {
    const Index size = image_size(op.from), planes = op.from.shape[1], channels = op.from.shape[4],
                pixels = op.from.shape[2] * op.from.shape[3];
    images(op, range, [&](Index image, const Word* words) BP_INLINED {
        const Index start = image * size;
        const Jitter jitter = jitter_of(op, words);
        const double total =
            jitter.share * weighted_sum(op.from.data + start, op.from, [](Index) BP_INLINED { return 1.0; });
        const T scale = T(jitter.scale);
        for (Index p = 0; p < planes; ++p)
            for (Index i = 0; i < pixels; ++i)
                for (Index c = 0; c < channels; ++c) {
                    const Index at = start + (p * pixels + i) * channels + c;
                    op.to.data[at] = scale * op.from.data[at] + T(total * grey(op.from, p * channels + c));
                }
    });
}

// ---- rotation ---------------------------------------------------------------------------------------------

struct Corners {
    Index place[4];
    double weight[4];
};

// visit(pixel, corners): the four pixels between which each pixel of the rotated image lies; outside they weigh 0.
template <class Visit>
BP_INLINE void rotated(double degrees, Index height, Index width, Visit visit) {
    const double angle = degrees * 3.14159265358979323846 / 180;
    const double sine = __builtin_sin(angle), cosine = __builtin_cos(angle);
    const double middle = double(height - 1) / 2, centre = double(width - 1) / 2;
    for (Index i = 0; i < height; ++i)
        for (Index j = 0; j < width; ++j) {
            const double v = double(i) - middle, u = double(j) - centre;
            const double row = middle + sine * u + cosine * v, column = centre + cosine * u - sine * v;
            const double top = __builtin_floor(row), left = __builtin_floor(column);
            Corners corners;
            for (int k = 0; k < 4; ++k) {
                const Index r = Index(top) + k / 2, c = Index(left) + k % 2;
                const double down = k / 2 ? row - top : 1 - (row - top);
                const double right = k % 2 ? column - left : 1 - (column - left);
                const bool inside = r >= 0 && r < height && c >= 0 && c < width;
                corners.place[k] = inside ? r * width + c : 0;
                corners.weight[k] = inside ? down * right : 0;
            }
            visit(i * width + j, corners);
        }
}

template <class T>
void rotate_images_forward(const RotateImagesForward<T>& op, Range range, Scratch) {
    const Index height = op.from.shape[2], width = op.from.shape[3], channels = op.from.shape[4],
                plane = height * width * channels, size = image_size(op.from);
    images(op, range, [&](Index image, const Word* words) BP_INLINED {
        rotated(between(words[0], op.low, op.high), height, width, [&](Index to, Corners from) BP_INLINED {
            for (Index start = image * size; start < (image + 1) * size; start += plane)
                for (Index c = 0; c < channels; ++c) {
                    T sum = 0;
                    for (int k = 0; k < 4; ++k)
                        sum += T(from.weight[k]) * op.from.data[start + from.place[k] * channels + c];
                    op.to.data[start + to * channels + c] = sum;
                }
        });
    });
}

template <class T>
void rotate_images_backward(const RotateImagesBackward<T>& op, Range range, Scratch) {
    const Index height = op.from.shape[2], width = op.from.shape[3], channels = op.from.shape[4],
                plane = height * width * channels, size = image_size(op.from);
    images(op, range, [&](Index image, const Word* words) BP_INLINED {
        __builtin_memset(op.to.data + image * size, 0, sizeof(T) * std::uint64_t(size));
        rotated(between(words[0], op.low, op.high), height, width, [&](Index pixel, Corners to) BP_INLINED {
            for (Index start = image * size; start < (image + 1) * size; start += plane)
                for (int k = 0; k < 4; ++k)
                    for (Index c = 0; c < channels; ++c)
                        op.to.data[start + to.place[k] * channels + c] +=
                            T(to.weight[k]) * op.from.data[start + pixel * channels + c];
        });
    });
}

}  // namespace

BACKPASS_KERNEL(CropImagesForward, crop_images_forward)
BACKPASS_KERNEL(CropImagesBackward, crop_images_backward)
BACKPASS_KERNEL(JitterImagesForward, jitter_images_forward)
BACKPASS_KERNEL(JitterImagesBackward, jitter_images_backward)
BACKPASS_KERNEL(RotateImagesForward, rotate_images_forward)
BACKPASS_KERNEL(RotateImagesBackward, rotate_images_backward)

}  // namespace backpass::BACKPASS_ISA
