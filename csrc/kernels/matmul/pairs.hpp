// The packed operands of products of bfloat16: words of two neighbouring k. B lies in panels, a row of a panel after the other; A as
// rows, or as columns of kPairHeight, as it lay before. Each part of a number has a plane of its own.
#pragma once
#include "bf16.hpp"
#include "operands.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

using Pair = std::uint32_t;
constexpr int kMostParts = 3;
// The most steps of k in a block. A tile's rows of A and a panel of B, 7 and 16 KiB, stay in the L1 cache.
constexpr Index kPairBlock = 256, kMostPairs = kPairBlock / 2;
constexpr Index kPairHeight = 16;
// Rows of A so many words apart spread over the sets of the cache.
constexpr Index kPairStride = kMostPairs + 16;
constexpr Index kPlaneOfA = kPairHeight * kPairStride, kPlaneOfB = kMostPairs * kBlockColumns;

// 2 w neighbouring numbers as w pairs: `count` of them, then zeros.
template <bool Converts>
BP_INLINE uvec<float> pairs_along(const float* from, Index count, int part) {
    constexpr int w = width<float>;
    const auto some = [&](Index at) BP_INLINED {
        const Index left = count - at;
        return left >= w ? load(from + at) : left > 0 ? load_tail(from + at, int(left)) : vec<float>{};
    };
    return pairs_of<Converts>(some(0), some(w), part);
}

// Rows k0 <= k < k0 + count, columns n0 .. n1 of B.
template <bool Converts>
void pack_pairs(const RowMajor<float>& b, Index k0, Index count, Index n0, Index n1, int part, Pair* to) {
    constexpr int w = width<float>, panel = kPanel<float>;
    const Index steps = (count + 1) / 2;
    for (Index i = 0; i < steps; ++i, to += panel) {
        const float* row = b.at(k0 + 2 * i, n0);
        const bool both = 2 * i + 1 < count;
        each_vector<float>(n1 - n0, [&](Index n, int lanes) BP_INLINED {
            const vec<float> second = both ? load_some(row + b.ld + n, lanes) : vec<float>{};
            store(to + n / panel * (panel * steps) + n % panel,
                  pair_of<Converts>(load_some(row + n, lanes), second, part));
        });
        static_assert(panel % w == 0);
    }
}
template <bool Converts>
void pack_pairs(const Transposed<float>& b, Index k0, Index count, Index n0, Index n1, int part, Pair* to) {
    constexpr int w = width<float>, panel = kPanel<float>;
    const Index steps = (count + 1) / 2;
    for (Index n = 0; n < n1 - n0; n += w) {
        Pair* const into = to + n / panel * (panel * steps) + n % panel;
        for (Index i = 0; i < steps; i += w) {
            vec<float> square[w];
            const float* from = b.data + (n0 + n) * b.ld + k0 + 2 * i;
            for (int r = 0; r < w; ++r, from += b.ld)
                square[r] = n + r < n1 - n0 ? as_float(pairs_along<Converts>(from, count - 2 * i, part))
                                            : vec<float>{};
            transpose<float>(square);
            for (int r = 0; r < w && i + r < steps; ++r) store(into + (i + r) * panel, as_bits(square[r]));
        }
    }
}

// `rows` rows of A, k0 <= k < k0 + count: at most a tile.
template <bool Converts>
Operand<Pair> pack_rows(Operand<float> a, Index m, int rows, Index k0, Index count, int part, Pair* to) {
    constexpr int w = width<float>;
    const float* from = a.data + m * a.row + k0 * a.step;
    const Index steps = (count + 1) / 2;
    if (a.step == 1) {
        for (int r = 0; r < rows; ++r, from += a.row)
            for (Index i = 0; i < steps; i += w)
                store(to + r * kPairStride + i, pairs_along<Converts>(from + 2 * i, count - 2 * i, part));
        return {to, kPairStride, 1};
    }
    for (Index i = 0; i < steps; ++i, from += 2 * a.step)
        each_vector<float>(rows, [&](Index r, int lanes) BP_INLINED {
            const bool both = 2 * i + 1 < count;
            const vec<float> second = both ? load_some(from + a.step + r, lanes) : vec<float>{};
            store(to + i * kPairHeight + r, pair_of<Converts>(load_some(from + r, lanes), second, part));
        });
    return {to, 1, kPairHeight};
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
