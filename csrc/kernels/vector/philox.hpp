// Philox4x32-10 (Salmon et al. 2011): random words as a function of counter, step, stream and seed. Python's philox gives the
// same bits.
#pragma once
#include "simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

using Word = std::uint32_t;
using Wide = vec<std::uint64_t>;  // a word in the low half of each lane; the high half is ignored

// Element 64 c + 16 w + l of a draw is word w of counter 16 c + l.
constexpr int kDrawLanes = 16, kDrawBlock = 4 * kDrawLanes;

// The ten rounds: x[0..3] becomes the four words of each counter.
BP_INLINE void philox(Wide* x, std::uint64_t seed) {
    const auto multiply = [](Wide a, Word b)
                              BP_INLINED { return multiply_even((vec<Word>)a, broadcast<Word>(b)); };
    Word k0 = Word(seed), k1 = Word(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const Wide a = multiply(x[0], 0xD2511F53), b = multiply(x[2], 0xCD9E8D57);
        x[0] = (b >> 32) ^ x[1] ^ std::uint64_t(k0);
        x[1] = b;
        x[2] = (a >> 32) ^ x[3] ^ std::uint64_t(k1);
        x[3] = a;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
}

// The 64 words of block c. Even and odd counters are computed separately, so that their words interleave in the end.
BP_INLINE void draw(Word* out, std::uint64_t c, std::uint64_t step, std::uint64_t stream,
                    std::uint64_t seed) {
    for (int l = 0; l < kDrawLanes; l += width<Word>) {
        const Wide counter = kDrawLanes * c + std::uint64_t(l) + 2 * iota<std::uint64_t>();
        Wide even[4] = {counter, counter >> 32, step + Wide{}, stream + Wide{}};
        Wide odd[4] = {counter + 1, counter >> 32, step + Wide{}, stream + Wide{}};
        philox(even, seed);
        philox(odd, seed);
        for (int w = 0; w < 4; ++w)
            store(out + kDrawLanes * w + l, (vec<Word>)((even[w] & 0xFFFFFFFF) | odd[w] << 32));
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
