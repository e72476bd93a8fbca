// Philox4x32-10 (Salmon et al. 2011): random numbers as a function of counter, step, stream and seed (python/backpass/random.py).
#pragma once
#include "../ops/types.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Element 64 c + 16 w + l of a draw is word w of counter 16 c + l.
constexpr int kDrawLanes = 16, kDrawBlock = 4 * kDrawLanes;

BACKPASS_INLINE void philox(std::uint32_t out[4], std::uint64_t counter, std::uint32_t step,
                            std::uint32_t stream, std::uint64_t seed) {
    std::uint32_t x0 = std::uint32_t(counter), x1 = std::uint32_t(counter >> 32), x2 = step, x3 = stream;
    std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t(x0) * 0xD2511F53u, b = std::uint64_t(x2) * 0xCD9E8D57u;
        x0 = std::uint32_t(b >> 32) ^ x1 ^ k0, x1 = std::uint32_t(b);
        x2 = std::uint32_t(a >> 32) ^ x3 ^ k1, x3 = std::uint32_t(a);
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
