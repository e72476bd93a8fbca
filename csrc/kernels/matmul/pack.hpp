// How the operands of a product are read: in place, transposed, or copied where their strides would thrash a cache.
#pragma once
#include "../vector/lanes.hpp"
#include "operands.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T>
BP_INLINE void prefetch_to_write(T* c, Index ldc, int rows, int columns) {
    for (int r = 0; r < rows; ++r)
        for (int n = 0; n < columns; n += int(kLine<T>)) __builtin_prefetch(c + r * ldc + n, 1);
}

// Rows k0 .. k1 of B, columns n0 .. n1, into the L2 cache.
template <class T>
BP_INLINE void prefetch(RowMajor<T> b, Index k0, Index k1, Index n0, Index n1) {
    for (Index k = k0; k < k1; ++k)
        for (Index n = n0; n < n1; n += kLine<T>) __builtin_prefetch(b.at(k, n), 0, 2);
}

// Columns n0 .. n1 of Wᵀ as panels, k0 <= k < k0 + count, padded with zeros. Inlined, its pointers would not find registers.
template <class T>
__attribute__((noinline)) void pack_transposed(Transposed<T> b, Index k0, Index count, Index n0, Index n1,
                                               T* to) {
    constexpr int w = width<T>, panel = kPanel<T>;
    for (Index n = n0; n < n1; n += w) {
        T* const into = to + (n - n0) / panel * (panel * kBlockK) + (n - n0) % panel;
        const int rows = int(n1 - n < w ? n1 - n : w);
        for (Index k = 0; k < count; k += w) {
            vec<T> square[w];
            const T* from = b.data + n * b.ld + k0 + k;
            const int ks = count - k < w ? int(count - k) : w;
            const T* ahead = walked(from + w * b.ld);
            for (int i = 0; i < w; ++i, ahead = walked(ahead + b.ld)) __builtin_prefetch(ahead);
            if (rows == w && ks == w) {
                load_transposed(from, b.ld, square);
                T* to_row = into + k * panel;
                for (int i = 0; i < w; ++i) store(to_row + i * panel, square[i]);
            } else {
                for (int i = 0; i < w; ++i, from += b.ld)
                    square[i] = i < rows ? load_tail(from, ks) : vec<T>{};
                transpose<T>(square);
                for (int i = 0; i < ks; ++i) store(into + (k + i) * panel, square[i]);
            }
        }
    }
}

// Does it pay to copy the rows of A? Those that crowd into few sets of a cache compete for them at every step of k. For few
// columns of B a copy pays only if all rows share one set. An A read down its columns is read one line at a step: it is copied where
// no prefetcher follows, and the lines are many.
template <class T>
BP_INLINE bool worth_copying(const Operand<T>& a, Index columns, Index K, const Caches& caches) {
    const Index stride = (a.step == 1 ? a.row : a.step) * Index(sizeof(T));
    if (K < kWorthCopying) return false;
    if (a.step != 1) return columns >= kManyColumns && stride >= kFarRows && K * stride > kFarColumns;
    return columns >= kManyColumns ? crowd(stride, 4, caches)
                                   : columns >= kPanel<T> && crowd(stride, 1, caches);
}

// The rows of A for one tile after the other, in place or copied.
template <class T>
class CopiedRows {
  public:
    // kept: how many tiles in a row keep their copies; of an A read down its columns a multiple of kCopiedTiles, or all.
    BP_INLINE CopiedRows(Operand<T> a, bool copies, T* to, Index kept)
        : a_(a), to_(to), kept_(kept), copies_(copies) {}

    // Copy rows of tile t, k0 <= k < k0 + count, if they are to be copied. Called for t = 0, 1, 2, ...
    template <class Tiles>
    BP_INLINE void copy(const Tiles& tiles, Index t, Index k0, Index count) const {
        if (!copies_) return;
        const Index m = tiles.begin(t);
        if (a_.step == 1)
            copy_rows(a_.data + m * a_.row + k0, int(tiles.begin(t + 1) - m), count, place(t));
        else if (t % kCopiedTiles == 0)
            copy_columns(tiles, t, k0, count, place(t));
    }

    // These rows.
    template <class Tiles>
    BP_INLINE Operand<T> tile(const Tiles& tiles, Index t, Index k0) const {
        if (!copies_) return {a_.data + tiles.begin(t) * a_.row + k0 * a_.step, a_.row, a_.step};
        return {place(t), a_.step == 1 ? kCopiedStride : 1, a_.step == 1 ? 1 : kCopiedHeight};
    }

  private:
    BP_INLINE T* place(Index t) const {
        return to_ + t % kept_ * (a_.step == 1 ? kTileRows * kCopiedStride : kBlockK * kCopiedHeight);
    }
    void copy_rows(const T* from, int rows, Index count, T* to) const {
        constexpr int w = width<T>;
        const Index whole = count / w * w;
        for (int r = 0; r < rows; ++r, from += a_.row, to += kCopiedStride) {
            for (Index i = 0; i < whole; i += w) {
                __builtin_prefetch(from + i + 4 * a_.row);
                __builtin_prefetch(to + i + kCopiedStride, 1);
                store(to + i, load(from + i));
            }
            if (whole < count) store(to + whole, load_tail(from + whole, int(count - whole)));
        }
    }
    // Copies in storage order, because one cache line spans several tiles. Whole vectors are loaded even past the end of a
    // tile, except in the last row, where they could leave the matrix.
    template <class Tiles>
    void copy_columns(const Tiles& tiles, Index t, Index k0, Index count, T* to) const {
        constexpr int w = width<T>;
        const T* const from = a_.data + k0 * a_.step;
        const T* begin[kCopiedTiles + 1] = {from + tiles.begin(t)};
        int last = 1;
        for (; last <= kCopiedTiles && t + last <= tiles.count; ++last)
            begin[last] = from + tiles.begin(t + last);
        --last;
        const Index lines = (begin[last] - begin[0] + kLine<T> - 1) / kLine<T>;
        // Half as far ahead as elsewhere: more rows would push each other out of the cache.
        const T* ahead = begin[0] + kRowsAhead / 2 * a_.step;
        Index row = 0;
        for (Index i = 1; i < count; ++i, to += kCopiedHeight, row += a_.step, ahead += a_.step) {
            for (Index line = 0; line < lines; ++line) __builtin_prefetch(ahead + line * kLine<T>);
            for (int g = 0; g < last; ++g)
                for (int m = 0; m < kTileRows; m += w)
                    store(to + g * (kBlockK * kCopiedHeight) + m, load(begin[g] + row + m));
        }
        for (int g = 0; g < last; ++g)
            for (Index m = 0, height = begin[g + 1] - begin[g]; m < height; m += w)
                store(to + g * (kBlockK * kCopiedHeight) + m,
                      load_tail(begin[g] + row + m, int(height - m < w ? height - m : w)));
    }

    Operand<T> a_;
    T* to_;
    Index kept_;
    bool copies_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
