// Philox4x32-10 word by word, as the paper writes it (Salmon et al. 2011).
#pragma once
#include <algorithm>
#include <cstdint>

namespace backpass::naive {

// The four words of one counter.
inline void philox(std::uint32_t out[4], std::uint64_t counter, std::uint32_t step, std::uint32_t stream,
                   std::uint64_t seed) {
    std::uint32_t x[4] = {std::uint32_t(counter), std::uint32_t(counter >> 32), step, stream};
    std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t(x[0]) * 0xD2511F53u, b = std::uint64_t(x[2]) * 0xCD9E8D57u;
        const std::uint32_t next[4] = {std::uint32_t(b >> 32) ^ x[1] ^ k0, std::uint32_t(b),
                                       std::uint32_t(a >> 32) ^ x[3] ^ k1, std::uint32_t(a)};
        std::copy(next, next + 4, x);
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    std::copy(x, x + 4, out);
}

// The word of element i of a draw.
inline std::uint32_t drawn(std::int64_t i, std::uint32_t step, std::uint32_t stream, std::uint64_t seed) {
    std::uint32_t words[4];
    philox(words, std::uint64_t(i / 64 * 16 + i % 16), step, stream, seed);
    return words[i % 64 / 16];
}

}  // namespace backpass::naive
