// How the operands of a product are read: in place, transposed, or copied where their strides would thrash a cache.
#pragma once
#include "../vector/lanes.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr int kTileRows =
    kRegisters == 32 ? 14 : 6;  // 14 x 2 (6 x 2) accumulators leave room for two of B and one of A
constexpr int kTileVectors = 2;
template <class T>
constexpr int kPanel = kTileVectors * width<T>;  // columns of B that a tile reads
template <class T>
constexpr Index kLine = 64 / Index(sizeof(T));  // of a cache

constexpr Index kBlockK = 256;        // k of one pass over C
constexpr Index kBlockColumns = 256;  // 256 or 512 KiB of B: with what passes by, they stay in the L2 cache
constexpr Index kPackedStride = kBlockK + 16;  // of a copied row of A: not a multiple of a cache's set
constexpr Index kCopiedTiles = 8;    // of A read down its columns: each of their lines holds several
constexpr Index kManyColumns = 256;  // of B: a copy of A is read often enough
constexpr Index kRowsAhead = 16;     // that are fetched of a matrix which is being copied

template <class T>  // of scratch that gemm may use
constexpr Index kPackedElements = kBlockK * (kBlockColumns + 16 * kCopiedTiles) + 16 * kPackedStride;

// A(m, k) = data[m * row + k * step]; one of row and step is 1.
template <class T>
struct Operand {
    const T* data;
    Index row, step;
};

template <class T>
BP_INLINE void prefetch_to_write(T* c, Index ldc, int rows, int columns) {
    for (int r = 0; r < rows; ++r)
        for (int n = 0; n < columns; n += int(kLine<T>)) __builtin_prefetch(c + r * ldc + n, 1);
}

// B row-major, read in place: rows are `ld` apart. Where that would thrash the caches, the first tile packs it as it reads.
template <class T>
struct RowMajor {
    const T* data;
    Index ld;
    static constexpr bool must_pack = false;

    BP_INLINE const T* at(Index k, Index n) const { return data + k * ld + n; }
    BP_INLINE void prefetch(Index k0, Index k1, Index n0, Index n1) const {
        for (Index k = k0; k < k1; ++k)
            for (Index n = n0; n < n1; n += kLine<T>) __builtin_prefetch(at(k, n), 0, 2);  // into L2
    }
};

// B = Wᵀ for a row-major W: element (k, n) is data[n * ld + k]. Packed by transposing squares in registers.
template <class T>
struct Transposed {
    const T* data;
    Index ld;
    static constexpr bool must_pack = true;

    BP_INLINE const T* at(Index, Index) const { return nullptr; }
    // Columns n0 .. n1 as panels, k0 <= k < k0 + count, padded with zeros.
    void pack(Index k0, Index count, Index n0, Index n1, T* to) const {
        constexpr int w = width<T>, panel = kPanel<T>;
        for (Index n = n0; n < n1; n += w) {
            T* const into = to + (n - n0) / panel * (panel * kBlockK) + (n - n0) % panel;
            const int rows = int(n1 - n < w ? n1 - n : w);
            for (Index k = 0; k < count; k += w) {
                vec<T> square[w];
                const T* from = data + n * ld + k0 + k;
                const int ks = count - k < w ? int(count - k) : w;
                for (int i = 0; i < w; ++i) __builtin_prefetch(from + (i + w) * ld);
                for (int i = 0; i < w; ++i, from += ld)
                    square[i] = i >= rows ? vec<T>{} : ks == w ? load(from) : load_tail(from, ks);
                transpose<T>(square);
                for (int i = 0; i < ks; ++i) store(into + (k + i) * panel, square[i]);
            }
        }
    }
};

// The rows of A for one tile after the other: copied where they lie a multiple of 1 KiB apart, which would make them fight for
// few sets of a cache in every step of k. For few columns of B a copy pays only if that is all of one set.
template <class T>
class CopiedRows {
  public:
    BP_INLINE CopiedRows(Operand<T> a, Index columns, Index K, T* to) : a_(a), to_(to) {
        const Index stride = (a.step == 1 ? a.row : a.step) * Index(sizeof(T));
        copies_ =
            K >= 64 && (columns >= kManyColumns ? stride % 1024 == 0
                                                : a.step == 1 && columns >= kPanel<T> && stride % 4096 == 0);
    }

    // Rows of tile t, k0 <= k < k0 + count; to be asked for t = 0, 1, 2, ...
    template <class Tiles>
    BP_INLINE Operand<T> tile(const Tiles& tiles, Index t, Index k0, Index count) const {
        const Index m = tiles.begin(t);
        if (!copies_) return {a_.data + m * a_.row + k0 * a_.step, a_.row, a_.step};
        if (a_.step == 1) {
            copy_rows(a_.data + m * a_.row + k0, int(tiles.begin(t + 1) - m), count);
            return {to_, kPackedStride, 1};
        }
        if (t % kCopiedTiles == 0) copy_columns(tiles, t, k0, count);
        return {to_ + t % kCopiedTiles * kBlockK * 16, 1, 16};
    }

  private:
    void copy_rows(const T* from, int rows, Index count) const {
        constexpr int w = width<T>;
        const Index whole = count / w * w;
        T* to = to_;
        for (int r = 0; r < rows; ++r, from += a_.row, to += kPackedStride) {
            for (Index i = 0; i < whole; i += w) {
                __builtin_prefetch(from + i + 4 * a_.row);
                store(to + i, load(from + i));
            }
            if (whole < count) store(to + whole, load_tail(from + whole, int(count - whole)));
        }
    }
    // Row by row of what is stored, for a line of it holds several tiles. Whole vectors, whatever follows the tile, except in
    // the last row, which may end the matrix.
    template <class Tiles>
    void copy_columns(const Tiles& tiles, Index t, Index k0, Index count) const {
        constexpr int w = width<T>;
        const T *begin[kCopiedTiles + 1], *from = a_.data + k0 * a_.step;
        int last = 0;
        for (; last <= kCopiedTiles && t + last <= tiles.count; ++last)
            begin[last] = from + tiles.begin(t + last);
        --last;
        const Index lines = (begin[last] - begin[0] + kLine<T> - 1) / kLine<T>;
        const T* ahead = begin[0] + kRowsAhead / 2 * a_.step;  // more would push each other out of the cache
        T* to = to_;
        Index row = 0;
        for (Index i = 1; i < count; ++i, to += 16, row += a_.step, ahead += a_.step) {
            for (Index line = 0; line < lines; ++line) __builtin_prefetch(ahead + line * kLine<T>);
            for (int g = 0; g < last; ++g)
                for (int m = 0; m < kTileRows; m += w)
                    store(to + g * (kBlockK * 16) + m, load(begin[g] + row + m));
        }
        for (int g = 0; g < last; ++g)
            for (Index m = 0, height = begin[g + 1] - begin[g]; m < height; m += w)
                store(to + g * (kBlockK * 16) + m,
                      load_tail(begin[g] + row + m, int(height - m < w ? height - m : w)));
    }

    Operand<T> a_;
    T* to_;
    bool copies_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
