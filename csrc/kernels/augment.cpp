// Augmentation: normal noise; images shifted, mirrored and partly cut out.
#include "kernel.hpp"
#include "vector/loops.hpp"
#include "vector/philox.hpp"
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
    const auto below = [&](int word, Index count) BP_INLINED {
        return Index(std::uint64_t(words[word]) * std::uint64_t(count) >> 32);
    };
    return {below(0, 2 * moves.shift + 1) - moves.shift, below(1, 2 * moves.shift + 1) - moves.shift,
            below(3, height) - moves.cutout / 2, below(4, width) - moves.cutout / 2,
            double(words[2]) < moves.flip * 0x1p32};
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

// work(image, move) for each image of some tasks.
template <class Work>
BP_INLINE void images(const ImageMoves& moves, Range range, const std::int64_t (&shape)[kMaxDims],
                      Work work) {
    static_assert(kImagePiece * kImageWords == kDrawBlock);
    const Range covered_images = covered(range, kImagePiece, shape[0]);
    for (Index image = covered_images.begin; image < covered_images.end; image += kImagePiece) {
        Word words[kDrawBlock];
        draw(words, std::uint64_t(image / kImagePiece), std::uint64_t(moves.step.data[0]),
             std::uint64_t(moves.stream), std::uint64_t(moves.seed));
        for (Index k = 0; k < kImagePiece && image + k < covered_images.end; ++k)
            work(image + k, move_of(moves, words + k * kImageWords, shape[2], shape[3]));
    }
}

template <class T>
void augment_images_forward(const AugmentImagesForward<T>& op, Range range, Scratch) {
    const Index channels = op.x.shape[1], height = op.x.shape[2], width = op.x.shape[3],
                size = height * width;
    images(op.moves, range, op.x.shape, [&](Index image, Move move) BP_INLINED {
        for (Index c = image * channels; c < (image + 1) * channels; ++c) {
            const T* x = op.x.data + c * size;
            T* y = op.y.data + c * size;
            pixels(op.moves, move, height, width,
                   [&](Index to, Index from) BP_INLINED { y[to] = from < 0 ? T(0) : x[from]; });
        }
    });
}

template <class T>
void augment_images_backward(const AugmentImagesBackward<T>& op, Range range, Scratch) {
    const Index channels = op.dy.shape[1], height = op.dy.shape[2], width = op.dy.shape[3],
                size = height * width;
    images(op.moves, range, op.dy.shape, [&](Index image, Move move) BP_INLINED {
        for (Index c = image * channels; c < (image + 1) * channels; ++c) {
            const T* dy = op.dy.data + c * size;
            T* dx = op.dx.data + c * size;
            for (Index i = 0; i < size; ++i) dx[i] = 0;
            pixels(op.moves, move, height, width, [&](Index to, Index from) BP_INLINED {
                if (from >= 0) dx[from] = dy[to];
            });
        }
    });
}

}  // namespace

BACKPASS_KERNEL(GaussianNoise, gaussian_noise)
BACKPASS_KERNEL(AugmentImagesForward, augment_images_forward)
BACKPASS_KERNEL(AugmentImagesBackward, augment_images_backward)

}  // namespace backpass::BACKPASS_ISA
