// Augmentation: normal noise; images shifted, mirrored and partly cut out.
#include "../ops/augment.hpp"
#include "image_words.hpp"
#include "kernel.hpp"
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Polynomials of the inverse error function (Giles 2010), lowest coefficient first.
constexpr double kCentre[] = {1.50140941,      0.246640727,    -0.00417768164, -0.00125372503, 0.00021858087,
                              -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08};
constexpr double kTail[] = {2.83297682,     1.00167406,    0.00943887047,  -0.0076224613,  0.00573950773,
                            -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257};

// The upper 23 bits of each random word, as a number.
template <class T>
BP_INLINE vec<T> upper_bits(const Word* words) {
    if constexpr (sizeof(T) == 4) {
        return __builtin_convertvector((ivec<T>)(load(words) >> 9), vec<T>);
    } else {
        typename Vector<Word, kBytes / 2>::type half;
        __builtin_memcpy(&half, words, sizeof half);
        return __builtin_convertvector(half >> 9, vec<T>);
    }
}

// A standard normal number from each random word.
template <class T>
BP_INLINE vec<T> normal(const Word* words) {
    const vec<T> x = (upper_bits<T>(words) + T(0.5)) * T(0x1p-22) - T(1);
    const vec<T> w = -log((T(1) - x) * (T(1) + x));
    const vec<T> factor =
        select<vec<T>>(w < broadcast<T>(5), horner(w - T(2.5), kCentre), horner(sqrt(w) - T(3), kTail));
    return T(1.4142135623730951) * x * factor;
}

// y = x + std normal
template <class T>
void gaussian_noise(const GaussianNoise<T>& op, Range range, Scratch) {
    const T* x = op.x.data;
    T* y = op.y.data;
    const vec<T> scale = broadcast<T>(T(op.std));
    const auto [begin, end] = covered(range, kElementPiece, op.x.size());
    for (Index block = begin; block < end; block += kDrawBlock) {
        Word words[kDrawBlock];
        draw(words, std::uint64_t(block / kDrawBlock), std::uint64_t(op.step.data[0]),
             std::uint64_t(op.stream), std::uint64_t(op.seed));
        const Range elements{block, end - block < kDrawBlock ? end : block + kDrawBlock};
        each_vector<T>(elements, [&](Index i, int n) BP_INLINED {
            store_some(y + i, load_some(x + i, n) + scale * normal<T>(words + (i - block)), n);
        });
    }
}

// How one image is moved: pixel (i, j) of the result shows pixel (i - down, j' - right), where j' is j or its mirror image.
struct Move {
    Index down, right, top, left;
    bool mirrored;
};

BP_INLINE Move move_of(const ImageMoves& moves, const Word* words, Index height, Index width) {
    return {below(words[0], 2 * moves.shift + 1) - moves.shift,
            below(words[1], 2 * moves.shift + 1) - moves.shift, below(words[3], height) - moves.cutout / 2,
            below(words[4], width) - moves.cutout / 2, double(words[2]) < moves.flip * 0x1p32};
}

// visit(to, from) for every pixel of the result: its place, and the place of the pixel that it shows, or -1.
template <class Visit>
BP_INLINE void pixels(const ImageMoves& moves, const Move& move, Index height, Index width, Visit visit) {
    for (Index i = 0; i < height; ++i) {
        const Index row = i - move.down;
        const bool cut = i >= move.top && i < move.top + moves.cutout;
        for (Index j = 0; j < width; ++j) {
            const Index column = (move.mirrored ? width - 1 - j : j) - move.right;
            const bool shown = row >= 0 && row < height && column >= 0 && column < width &&
                               !(cut && j >= move.left && j < move.left + moves.cutout);
            visit(i * width + j, shown ? row * width + column : -1);
        }
    }
}

// work(start, move) for each plane of the images of some tasks; start: of the plane.
template <class Images, class Work>
BP_INLINE void planes(const ImageMoves& moves, Range range, const Images& images, Work work) {
    const Index height = images.shape[2], width = images.shape[3], size = height * width * images.shape[4];
    each_image(moves.step, moves.stream, moves.seed, range, images.shape[0],
               [&](Index image, const Word* words) BP_INLINED {
                   const Move move = move_of(moves, words, height, width);
                   for (Index p = 0; p < images.shape[1]; ++p)
                       work((image * images.shape[1] + p) * size, move);
               });
}

template <class T>
void augment_images_forward(const AugmentImagesForward<T>& op, Range range, Scratch) {
    const Index height = op.x.shape[2], width = op.x.shape[3], channels = op.x.shape[4];
    planes(op.moves, range, op.x, [&](Index start, Move move) BP_INLINED {
        const T* x = op.x.data + start;
        T* y = op.y.data + start;
        pixels(op.moves, move, height, width, [&](Index to, Index from) BP_INLINED {
            if (channels == 1) {
                y[to] = from < 0 ? T(0) : x[from];
                return;
            }
            for (Index c = 0; c < channels; ++c)
                y[to * channels + c] = from < 0 ? T(0) : x[from * channels + c];
        });
    });
}

template <class T>
void augment_images_backward(const AugmentImagesBackward<T>& op, Range range, Scratch) {
    const Index height = op.dy.shape[2], width = op.dy.shape[3], channels = op.dy.shape[4];
    planes(op.moves, range, op.dy, [&](Index start, Move move) BP_INLINED {
        const T* dy = op.dy.data + start;
        T* dx = op.dx.data + start;
        for (Index i = 0; i < height * width * channels; ++i) dx[i] = 0;
        pixels(op.moves, move, height, width, [&](Index to, Index from) BP_INLINED {
            if (from < 0) return;
            for (Index c = 0; c < channels; ++c) dx[from * channels + c] = dy[to * channels + c];
        });
    });
}

}  // namespace

BACKPASS_KERNEL(GaussianNoise, gaussian_noise)
BACKPASS_KERNEL(AugmentImagesForward, augment_images_forward)
BACKPASS_KERNEL(AugmentImagesBackward, augment_images_backward)

}  // namespace backpass::BACKPASS_ISA
