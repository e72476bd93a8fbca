// Packing for products of bfloat16: numbers are split into parts, and two neighbouring k of a part become a word.
#pragma once
#include "pairs.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// How the operands of a product are packed.
struct Packing {
    bool converts = false;  // by the instruction for that
    bool in_rows = false;   // A always in rows
    int parts = 1;
    Index panel = 0;        // columns
    Index stride = 0;       // words from a row of A to the next
    Index plane_a = 0;      // words of A from a part to the next; of B they are kPlaneOfB
    Index steps = 0;        // pairs of k of a row; those behind the last k are zeros
    ivec<float> largest{};  // magnitude, of several parts

    // Of column n of B, in the first row of its panel.
    Index place(Index n) const { return (n & -panel) * steps + (n & (panel - 1)); }
    bool has_rows(const Operand<float>& a) const { return a.step == 1 || in_rows; }
    Index row(const Operand<float>& a) const { return has_rows(a) ? stride : 1; }
    Index step(const Operand<float>& a) const { return has_rows(a) ? 1 : kPairHeight; }

    // What is packed consists of finite parts. inf and NaN do not, nor what rounds to inf.
    bool are_sums() const { return reduce_max(largest) < kTooLarge; }

    // store(part, words) for each part of 2 w numbers: those of k in the lower halves, those of k + 1 in the upper ones.
    template <class Store>
    BP_INLINE void split(vec<float> first, vec<float> second, Store store) {
        if (parts == 1) return store(0, pair_of(converts, first, second));
        for (const vec<float>& x : {first, second}) {
            const ivec<float> magnitude = as_int(x) & 0x7fffffff;
            largest = magnitude > largest ? magnitude : largest;
        }
        for (int part = 0; part < parts; ++part) {
            const uvec<float> words = pair_of(converts, first, second);
            store(part, words);
            first -= as_float(words << 16), second -= as_float(words & 0xffff0000u);
        }
    }
    // The same for 2 w neighbouring k of one row: `count` of them, then zeros.
    template <class Store>
    BP_INLINE void split_along(const float* from, Index count, Store store) {
        constexpr int w = width<float>;
        const auto some = [&](Index at) BP_INLINED {
            const Index left = count - at;
            return left >= w ? load(from + at) : left > 0 ? load_tail(from + at, int(left)) : vec<float>{};
        };
        const vec<float> a = some(0), b = some(w);
        if (parts == 1) return store(0, pairs_of(converts, a, b));
        split(shuffle<EverySecond<0>>(a, b), shuffle<EverySecond<1>>(a, b), store);
    }
    // The same for rows k and k + 1 of a matrix, of which `left` are left.
    template <class Store>
    BP_INLINE void split_rows(const float* row, Index ld, Index left, int lanes, Store store) {
        split(left > 0 ? load_some(row, lanes) : vec<float>{},
              left > 1 ? load_some(row + ld, lanes) : vec<float>{}, store);
    }
};

// Squares of w x w words, turned: store(part, r, words) for each row.
struct Squares {
    vec<float> of[kMostParts][width<float>];

    template <class Store>
    BP_INLINE void turn(int parts, Store store) {
        for (int part = 0; part < parts; ++part) {
            transpose<float>(of[part]);
            for (int r = 0; r < width<float>; ++r) store(part, r, as_bits(of[part][r]));
        }
    }
};

// The functions below work on a copy of `given`: the compiler keeps it in registers, since no store can be to it.

// Rows k0 <= k < k0 + count, columns n0 .. n1 of B.
void pack_pairs(Packing& given, const RowMajor<float>& b, Index k0, Index count, Index n0, Index n1,
                Pair* to) {
    Packing packing = given;
    const Index panel = packing.panel;
    for (Index i = 0; i < packing.steps; ++i, to += panel)
        each_vector<float>(n1 - n0, [&](Index n, int lanes) BP_INLINED {
            Pair* const into = to + packing.place(n);
            packing.split_rows(b.at(k0 + 2 * i, n0 + n), b.ld, count - 2 * i, lanes,
                               [&](int part, uvec<float> words)
                                   BP_INLINED { store(into + part * kPlaneOfB, words); });
        });
    given.largest = packing.largest;
}
void pack_pairs(Packing& given, const Transposed<float>& b, Index k0, Index count, Index n0, Index n1,
                Pair* to) {
    Packing packing = given;
    constexpr int w = width<float>;
    const Index panel = packing.panel;
    Squares squares{};
    for (Index n = 0; n < n1 - n0; n += w) {
        Pair* const into = to + packing.place(n);
        for (Index i = 0; i < packing.steps; i += w) {
            const float* from = b.data + (n0 + n) * b.ld + k0 + 2 * i;
            for (int r = 0; r < w && n + r < n1 - n0; ++r, from += b.ld)
                packing.split_along(from, count - 2 * i, [&](int part, uvec<float> words) BP_INLINED {
                    squares.of[part][r] = as_float(words);
                });
            squares.turn(packing.parts, [&](int part, int r, uvec<float> words) BP_INLINED {
                if (i + r < packing.steps) store(into + part * kPlaneOfB + (i + r) * panel, words);
            });
        }
    }
    given.largest = packing.largest;
}

// `rows` rows of A, k0 <= k < k0 + count: at most a block.
void pack_rows(Packing& given, Operand<float> a, Index m, int rows, Index k0, Index count, Pair* to) {
    Packing packing = given;
    constexpr int w = width<float>;
    const float* from = a.data + m * a.row + k0 * a.step;
    if (a.step == 1) {
        for (int r = 0; r < rows; ++r, from += a.row)
            for (Index i = 0; i < packing.steps; i += w)
                packing.split_along(from + 2 * i, count - 2 * i, [&](int part, uvec<float> words) BP_INLINED {
                    store(to + part * packing.plane_a + r * packing.stride + i, words);
                });
    } else if (packing.in_rows) {
        Squares squares{};
        for (Index r = 0; r < rows; r += w)
            for (Index i = 0; i < packing.steps; i += w) {
                const int lanes = int(rows - r < w ? rows - r : w);
                for (int j = 0; j < w; ++j)
                    packing.split_rows(from + 2 * (i + j) * a.step + r, a.step, count - 2 * (i + j), lanes,
                                       [&](int part, uvec<float> words)
                                           BP_INLINED { squares.of[part][j] = as_float(words); });
                squares.turn(packing.parts, [&](int part, int j, uvec<float> words) BP_INLINED {
                    store(to + part * packing.plane_a + (r + j) * packing.stride + i, words);
                });
            }
    } else {
        for (Index i = 0; i < packing.steps; ++i, from += 2 * a.step)
            each_vector<float>(rows, [&](Index r, int lanes) BP_INLINED {
                packing.split_rows(from + r, a.step, count - 2 * i, lanes,
                                   [&](int part, uvec<float> words) BP_INLINED {
                                       store(to + part * packing.plane_a + i * kPairHeight + r, words);
                                   });
            });
    }
    given.largest = packing.largest;
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
