// Products that skip the zeros of A: pixels, one-hot categories, counts of words.
//
// A tile skips the steps of k at which all of its rows of A are +0. If B is finite, such a step leaves a chain of FMAs as it is:
// the bits are those of gemm.hpp, except for a chain that underflowed to -0. Tiles are low, because fewer rows share more zeros.
#pragma once
#include "../vector/loops.hpp"
#include "epilogue.hpp"
#include "operands.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr int kSparseRows = kRegisters == 32 ? 4 : 2;
constexpr int kSparseVectors = kBytes == 64 ? 7 : 6;
constexpr Index kWord = 64;               // steps of k in a word, one bit each
constexpr Index kSparseK = 16 * kWord;    // steps of k in one pass over C
constexpr Index kSparseBlockRows = 1024;  // rows of A whose words are stored at a time
constexpr Index kSparseWords = kSparseK / kWord * (kSparseBlockRows / kSparseRows);
static_assert(kSparseK * kSparseVectors * kBytes + kSparseWords * 8 <= Index(kScratchBytes));

// A word whose bit k says whether any of rows[0][k], rows[1][k], ... differs from +0; k < count <= kWord.
template <int Rows, class T>
BP_INLINE std::uint64_t steps_of(const T* const* rows, Index count) {
    std::uint64_t word = 0;
    for (Index k = 0; k < count; k += width<T>) {
        const int lanes = count - k < width<T> ? int(count - k) : width<T>;
        auto any = as_int(load_some(rows[0] + k, lanes));
#pragma GCC unroll 4
        for (int r = 1; r < Rows; ++r) any |= as_int(load_some(rows[r] + k, lanes));
        word |= std::uint64_t(nonzero_lanes(any)) << k;
    }
    return word;
}

// The words of all tiles of M rows, `words` for each tile, for an A that is read along its rows.
template <class T>
void find_in_rows(Operand<T> a, Index M, Index K, Index words, std::uint64_t* to) {
    for (Index m = 0; m < M; m += kSparseRows, to += words) {
        const T* rows[kSparseRows];
        for (int r = 0; r < kSparseRows; ++r) rows[r] = a.data + (m + r < M ? m + r : M - 1) * a.row;
        for (Index k = 0; k < K; k += kWord) {
            to[k / kWord] = steps_of<kSparseRows>(rows, K - k < kWord ? K - k : kWord);
            for (int r = 0; r < kSparseRows; ++r) rows[r] += kWord;
        }
    }
}

// The words of all tiles for an A that is read down its columns: each 8 bytes of a row push one bit into their own lane.
template <class T>
void find_in_columns(Operand<T> a, Index M, Index K, Index words, std::uint64_t* to) {
    constexpr int w = width<T>, together = 4, columns = together * w;  // whole cache lines
    constexpr int lanes = kSparseRows * int(sizeof(T)) / 8;            // of a tile
    for (Index m = 0; m < M; m += columns, to += columns / kSparseRows * words) {
        const Index left = M - m < columns ? M - m : columns;
        int n[together];
        for (int v = 0; v < together; ++v)
            n[v] = left <= v * w ? 0 : left - v * w < w ? int(left - v * w) : w;
        for (Index k0 = 0; k0 < K; k0 += kWord) {
            const Index end = K - k0 < kWord ? K : k0 + kWord;
            uvec<double> bits[together] = {};
            const auto push = [&](auto whole) BP_INLINED {
                for (Index k = end - 1; k >= k0; --k)
#pragma GCC unroll 4
                    for (int v = 0; v < together; ++v) {
                        const T* at = a.data + (m + v * w) + k * a.step;
                        const auto here = (uvec<double>)load_some(at, whole ? w : n[v]);
                        bits[v] = bits[v] + bits[v] - (uvec<double>)(here != uvec<double>{});
                    }
            };
            left == columns ? push(std::true_type{}) : push(std::false_type{});
            std::uint64_t found[together * kBytes / 8];
            for (int v = 0; v < together; ++v) store(found + v * kBytes / 8, bits[v]);
            for (int t = 0; t * kSparseRows < left; ++t) {
                std::uint64_t word = 0;
                for (int i = 0; i < lanes; ++i) word |= found[t * lanes + i];
                to[t * words + k0 / kWord] = word;
            }
        }
    }
}

// The fields that all tiles of a panel have in common.
template <class T>
struct SparseTile {
    Index step;  // of A, from k to k + 1
    const T* b;  // the packed panel
    Index words, col;
    int tail;  // lanes of the last vector
    bool first, last;
};

// One tile of C: rows a[0], a[1], ... of A give rows c[0], c[1], ... A tile with fewer rows repeats its last one.
template <int Vectors, class T>
__attribute__((noinline)) void sparse_tile(const SparseTile<T>& of, const T* const* a,
                                           const std::uint64_t* words, T* const* c,
                                           const Epilogue<T>& epilogue) {
    constexpr int w = width<T>, rows = kSparseRows;
    const auto lanes = [&](int v) BP_INLINED { return v + 1 == Vectors ? of.tail : w; };
    vec<T> acc[rows][Vectors];
#pragma GCC unroll 4
    for (int m = 0; m < rows; ++m)
#pragma GCC unroll 7
        for (int v = 0; v < Vectors; ++v) acc[m][v] = of.first ? vec<T>{} : load_some(c[m] + v * w, lanes(v));

    for (Index i = 0; i < of.words; ++i)
        for (std::uint64_t word = words[i]; word; word &= word - 1) {
            const Index k = i * kWord + __builtin_ctzll(word);
            const T* b = of.b + k * (kSparseVectors * w);
            vec<T> av[rows - 1];
#pragma GCC unroll 4
            for (int m = 0; m < rows - 1; ++m) av[m] = broadcast<T>(a[m][k * of.step]);
            const T* lowest = a[rows - 1] + k * of.step;
#pragma GCC unroll 7
            for (int v = 0; v < Vectors; ++v) {
                const vec<T> bv = load(b + v * w);
#pragma GCC unroll 4
                for (int m = 0; m < rows - 1; ++m) acc[m][v] = fma(av[m], bv, acc[m][v]);
                // Read from memory each time: 28 accumulators, three rows of A and B fill the registers.
                if constexpr (kBytes == 64) __asm__("" : "+r"(lowest));
                acc[rows - 1][v] = fma(broadcast<T>(*lowest), bv, acc[rows - 1][v]);
            }
        }
#pragma GCC unroll 7
    for (int v = 0; v < Vectors; ++v) {
        const Index col = of.col + v * w;
        const vec<T> bias = bias_of(epilogue, col, lanes(v));
#pragma GCC unroll 4
        for (int m = 0; m < rows; ++m) {
            const vec<T> z = of.last ? biased(acc[m][v], epilogue, bias) : acc[m][v];
            store_some(c[m] + v * w, z, lanes(v));
        }
    }
}

template <class T, int... Vectors>
BP_INLINE auto sparse_tile_of(int vectors, std::integer_sequence<int, Vectors...>) {
    using Compute =
        void (*)(const SparseTile<T>&, const T* const*, const std::uint64_t*, T* const*, const Epilogue<T>&);
    static constexpr Compute computes[] = {&sparse_tile<Vectors + 1, T>...};
    return computes[vectors - 1];
}

// Copy the columns of B that a tile reads, as whole aligned vectors. Returns whether all of them are finite.
template <class T>
bool pack_panel(const T* b, Index ldb, Index K, Index columns, int tail, T* to) {
    constexpr int w = width<T>;
    const Index last = columns - tail;
    vec<T> zero[2] = {};
    const auto keep = [&](vec<T> here, Index k, Index n) BP_INLINED {
        zero[k % 2] += here * T(0);
        store(to + k * (kSparseVectors * w) + n, here);
    };
    for (Index k = 0; k < K; ++k, b += ldb) {
        for (Index n = 0; n < last; n += w) keep(load(b + n), k, n);
        keep(load_some(b + last, tail), k, last);
    }
    return sum(zero[0] + zero[1]) == 0;
}

// A piece of C = A · B as gemm() computes it, with an epilogue of bias and relu alone. Returns false, and leaves C incomplete, if
// B has a number that is not finite.
template <class T>
bool sparse_gemm(Operand<T> a, RowMajor<T> b, Output<T> c, Piece piece, Index K, const Epilogue<T>& epilogue,
                 Scratch scratch) {
    constexpr Index w = width<T>, panel = kSparseVectors * w;
    const auto counts = std::make_integer_sequence<int, kSparseVectors>{};
    T* const packed = static_cast<T*>(scratch.data);
    std::uint64_t* const found = reinterpret_cast<std::uint64_t*>(packed + kSparseK * panel);
    for (Index m = piece.m0; m < piece.m1; m += kSparseBlockRows)
        for (Index k0 = 0; k0 < K; k0 += kSparseK) {
            const Index M = piece.m1 - m < kSparseBlockRows ? piece.m1 - m : kSparseBlockRows;
            const Index k = K - k0 < kSparseK ? K - k0 : kSparseK, words = (k + kWord - 1) / kWord;
            const Operand<T> block{a.data + m * a.row + k0 * a.step, a.row, a.step};
            if (a.step == 1)
                find_in_rows(block, M, k, words, found);
            else
                find_in_columns(block, M, k, words, found);
            for (Index n = piece.n0; n < piece.n1; n += panel) {
                const Index columns = piece.n1 - n < panel ? piece.n1 - n : panel;
                const int tail = int((columns - 1) % w + 1), vectors = int((columns + w - 1) / w);
                const auto compute_tile = sparse_tile_of<T>(vectors, counts);
                if (!pack_panel(b.at(k0, n), b.ld, k, columns, tail, packed)) return false;
                const SparseTile<T> tile{a.step, packed, words, n, tail, k0 == 0, k0 + k == K};
                for (Index t = 0; t < M; t += kSparseRows) {
                    const T* rows[kSparseRows];
                    T* to[kSparseRows];
                    for (int r = 0; r < kSparseRows; ++r) {
                        const Index row = t + r < M ? t + r : M - 1;
                        rows[r] = block.data + row * a.row;
                        to[r] = c.data + (m + row) * c.ld + n;
                    }
                    compute_tile(tile, rows, found + t / kSparseRows * words, to, epilogue);
                }
            }
        }
    return true;
}

// ---- whether it pays --------------------------------------------------------------------------------------

// Fractions of the steps that remain for tiles of x and for tiles of xᵀ, estimated from a few rows of x.
struct Remaining {
    double in_rows, in_columns;
};

template <class T>
Remaining remaining_steps(const Tensor<const T>& x) {
    constexpr Index samples = 2;  // each has the rows of one tile
    constexpr std::uint64_t tiles = kSparseRows == 4 ? 0x1111111111111111 : 0x5555555555555555;
    Index in_rows = 0, in_columns = 0;
    for (Index s = 0; s < samples; ++s) {
        const T* first = x.data + s * (x.rows() - kSparseRows) / (samples - 1) * x.ld();
        for (Index k = 0; k + kWord <= x.cols(); k += kWord) {
            std::uint64_t any = 0;
            for (int r = 0; r < kSparseRows; ++r) {
                const T* row = first + r * x.ld() + k;
                std::uint64_t word = steps_of<1>(&row, kWord);
                any |= word;
                for (int i = 1; i < kSparseRows; i *= 2) word |= word >> i;
                in_columns += __builtin_popcountll(word & tiles);
            }
            in_rows += __builtin_popcountll(any);
        }
    }
    // One divisor for both: xᵀ has kSparseRows times fewer tiles, each with kSparseRows times more steps.
    const double all = double(samples * (x.cols() / kWord * kWord));
    return {double(in_rows) / all, double(in_columns) / all};
}

// Does it pay to skip the zeros of x, in x · b and in xᵀ · b, if b has so many columns? Limits as measured (benchmarks/LOG.md).
constexpr Index kLeastRows = 32, kLeastProducts = 1 << 20;
constexpr double kMostInRows = 0.75, kMostInColumns = 0.5;
template <class T>
BP_INLINE bool large_enough(const Tensor<const T>& x, Index columns) {
    return x.rows() >= kLeastRows && x.cols() >= kWord && columns >= width<T> &&
           x.size() * columns >= kLeastProducts;
}
template <class T>
BP_INLINE bool sparse_in_rows(const Tensor<const T>& x, Index columns) {
    return large_enough(x, columns) && remaining_steps(x).in_rows <= kMostInRows;
}
template <class T>
BP_INLINE bool sparse_in_columns(const Tensor<const T>& x, Index columns) {
    return large_enough(x, columns) && remaining_steps(x).in_columns <= kMostInColumns;
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
