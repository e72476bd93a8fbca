// The random words of each image: shared by the ops that change images at random.
#pragma once
#include "../ops/augment.hpp"
#include "vector/loops.hpp"
#include "vector/philox.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// An integer from 0 to count - 1, as the word says.
BP_INLINE Index below(Word word, Index count) {
    return Index(std::uint64_t(word) * std::uint64_t(count) >> 32);
}

// A number from low to high, as the word says.
BP_INLINE double between(Word word, double low, double high) {
    return low + (high - low) * (double(word) * 0x1p-32);
}

// work(image, words) for each image of some tasks.
template <class Work>
BP_INLINE void each_image(const Tensor<const std::int64_t>& step, Index stream, Index seed, Range range,
                          Index images, Work work) {
    static_assert(kImagePiece * kImageWords == kDrawBlock);
    const Range some = covered(range, kImagePiece, images);
    for (Index image = some.begin; image < some.end; image += kImagePiece) {
        Word words[kDrawBlock];
        draw(words, std::uint64_t(image / kImagePiece), std::uint64_t(step.data[0]), std::uint64_t(stream),
             std::uint64_t(seed));
        for (Index k = 0; k < kImagePiece && image + k < some.end; ++k)
            work(image + k, words + k * kImageWords);
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
