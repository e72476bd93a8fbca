// Ring 1: matrix products C = A · B for the shapes of training. Packer and epilogue are functors.
//
// Every element of C is one chain of FMAs over k in order, whatever the tile, the blocking or the other rows: that is why
// a row of a forward pass has the same bits in a batch of one and in a batch of a thousand.
#pragma once
#include "lanes.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr int kTileRows =
    kRegisters == 32 ? 14 : 6;  // 14 x 2 (6 x 2) accumulators leave room for two of B and one of A
constexpr int kTileVectors = 2;
constexpr Index kBlockK = 256;  // k of one pass over C: a block of B of 256 columns stays in the L2 cache
constexpr Index kBlockColumns = 256;
constexpr Index kPackedStride = kBlockK + 16;  // of a copied row of A: not a multiple of a cache's set

constexpr Index kPackedElements =
    kBlockK * (kBlockColumns + 16 + 1) + 16 * kPackedStride;  // of scratch that gemm may use

// A(m, k) = data[m * row + k * step]; one of row and step is 1.
template <class T>
struct Operand {
    const T* data;
    Index row, step;
};

// acc[m][v] += A(m, k) · B(k, v) over k; b's rows are `ldb` apart, the last vector has `tail` lanes if Masked.
template <int Rows, int Vectors, bool Masked, class T>
BP_INLINE void multiply(vec<T> (&acc)[Rows][Vectors], Operand<T> a, const T* b, Index ldb, Index k_end,
                        int tail) {
    const T* base[(Rows + 2) / 3];  // three rows share a pointer: base, base + row, base + 2 row
    for (int i = 0; i < (Rows + 2) / 3; ++i) base[i] = a.data + 3 * i * a.row;
    for (Index k = 0; k < k_end; ++k) {
        vec<T> bv[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
            bv[v] = Masked && v + 1 == Vectors ? load_tail(b + v * width<T>, tail) : load(b + v * width<T>);
#pragma GCC unroll 16
        for (int m = 0; m < Rows; ++m) {
            const vec<T> av = broadcast<T>(base[m / 3][(m % 3) * a.row]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) acc[m][v] = fma(av, bv[v], acc[m][v]);
        }
#pragma GCC unroll 8
        for (int i = 0; i < (Rows + 2) / 3; ++i) base[i] += a.step;
        b += ldb;
    }
}

// One tile of C: rows of c are ldc apart. `first`: starts from zero, else from what C holds; `last`: through the epilogue.
template <int Rows, int Vectors, bool Masked, class T, class Epilogue>
__attribute__((noinline)) void tile(Operand<T> a, const T* b, Index ldb, Index k, int tail, T* c, Index ldc,
                                    bool first, bool last, Index row, Index col, const Epilogue& epilogue) {
    vec<T> acc[Rows][Vectors];
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            const T* from = c + m * ldc + v * width<T>;
            acc[m][v] = first ? vec<T>{} : Masked && v + 1 == Vectors ? load_tail(from, tail) : load(from);
        }
    multiply<Rows, Vectors, Masked>(acc, a, b, ldb, k, tail);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
        const bool masked = Masked && v + 1 == Vectors;
        const int lanes = masked ? tail : width<T>;
        const auto column = epilogue.template column<T>(col + v * width<T>, lanes, masked);
#pragma GCC unroll 16
        for (int m = 0; m < Rows; ++m) {
            vec<T> value = acc[m][v];
            if (last) value = epilogue.apply(value, column, row + m, col + v * width<T>, lanes, masked);
            T* to = c + m * ldc + v * width<T>;
            if (masked)
                store_tail(to, value, lanes);
            else
                store(to, value);
        }
    }
}

template <int Vectors, bool Masked, class T, class Epilogue, int... Rows>
BP_INLINE void tile_of(int rows, std::integer_sequence<int, Rows...>, Operand<T> a, const T* b, Index ldb,
                       Index k, int tail, T* c, Index ldc, bool first, bool last, Index row, Index col,
                       const Epilogue& epilogue) {
    using Tile = void (*)(Operand<T>, const T*, Index, Index, int, T*, Index, bool, bool, Index, Index,
                          const Epilogue&);
    static constexpr Tile tiles[] = {&tile<Rows + 1, Vectors, Masked, T, Epilogue>...};
    tiles[rows - 1](a, b, ldb, k, tail, c, ldc, first, last, row, col, epilogue);
}

// B in place, row-major: rows are `ld` apart. Packing copies, for caches that a large stride would thrash.
template <class T>
struct RowMajor {
    const T* data;
    Index ld;
    static constexpr bool must_pack = false;

    BP_INLINE const T* at(Index k, Index n) const { return data + k * ld + n; }
    // Columns n0 .. n1 as panels of `panel` columns, k0 <= k < k0 + count, padded with zeros. Reads along the rows of B.
    void pack(Index k0, Index count, Index n0, Index n1, T* to, int panel) const {
        for (Index k = 0; k < count; ++k, to += panel)
            for (Index n = n0; n < n1; n += width<T>) {
                T* const into = to + (n - n0) / panel * (panel * kBlockK) + (n - n0) % panel;
                store(into, n1 - n >= width<T> ? load(at(k0 + k, n)) : load_tail(at(k0 + k, n), int(n1 - n)));
            }
    }
};

// B = Wᵀ for a row-major W: element (k, n) is data[n * ld + k]. Packed by transposing squares in registers.
template <class T>
struct Transposed {
    const T* data;
    Index ld;
    static constexpr bool must_pack = true;

    BP_INLINE const T* at(Index, Index) const { return nullptr; }
    void pack(Index k0, Index count, Index n0, Index n1, T* to, int panel) const {
        constexpr int w = width<T>;
        for (Index n = n0; n < n1; n += w) {
            T* const into = to + (n - n0) / panel * (panel * kBlockK) + (n - n0) % panel;
            const int rows = int(n1 - n < w ? n1 - n : w);
            for (Index k = 0; k < count; k += w) {
                vec<T> square[w];
                const T* from = data + n * ld + k0 + k;
                const int ks = count - k < w ? int(count - k) : w;
                for (int i = 0; i < w; ++i, from += ld)
                    square[i] = i >= rows ? vec<T>{} : ks == w ? load(from) : load_tail(from, ks);
                transpose<T>(square);
                for (int i = 0; i < ks; ++i) store(into + (k + i) * panel, square[i]);
            }
        }
    }
};

// Rows m0 .. m1 and columns n0 .. n1 (at most kBlockColumns) of C = A · B, K products an element.
template <class T, class B, class Epilogue>
void gemm(Operand<T> a, const B& b, T* c, Index ldc, Index m0, Index m1, Index n0, Index n1, Index K,
          const Epilogue& epilogue, Scratch scratch) {
    constexpr int w = width<T>, panel = kTileVectors * w;
    const Index rows = m1 - m0;
    if (rows <= 0 || n1 <= n0) return;
    T* const packed_b = static_cast<T*>(scratch.data);
    T* const packed_a = packed_b + kBlockK * kBlockColumns;
    const Index tiles = (rows + kTileRows - 1) / kTileRows;
    // Strides near a multiple of 2 KiB put all rows into few sets of a cache; a copy pays once it is used a few times.
    const bool pack =
        B::must_pack || (tiles >= 4 && K >= 64 &&
                         (b.ld * Index(sizeof(T)) % 2048 == 0 || b.ld * K * Index(sizeof(T)) > (1 << 20)));
    // Rows of A at a multiple of a page would fight for one set in every step of k: their copy pays for a single panel.
    const Index stride = (a.step == 1 ? a.row : a.step) * Index(sizeof(T));
    const bool copy_a =
        K >= 64 &&
        (n1 - n0 >= 4 * panel ? stride % 1024 == 0 : a.step == 1 && n1 - n0 >= panel && stride % 4096 == 0);
    const auto row_counts = std::make_integer_sequence<int, kTileRows>{};

    Index k0 = 0;
    do {  // once even if K is 0: C = epilogue(0)
        const Index k = K - k0 < kBlockK ? K - k0 : kBlockK;
        const bool first = k0 == 0, last = k0 + k == K;
        if (pack) b.pack(k0, k, n0, n1, packed_b, panel);
        for (Index t = 0; t < tiles; ++t) {  // tiles of even height: none is left with a row or two
            const Index m = m0 + t * rows / tiles;
            const int height = int(m0 + (t + 1) * rows / tiles - m);
            Operand<T> at{a.data + m * a.row + k0 * a.step, a.row, a.step};
            if (copy_a) {
                if (a.step == 1)
                    for (int r = 0; r < height; ++r)
                        for (Index i = 0; i < k; i += w)
                            store(packed_a + r * kPackedStride + i,
                                  k - i >= w ? load(at.data + r * a.row + i)
                                             : load_tail(at.data + r * a.row + i, int(k - i)));
                else
                    for (Index i = 0; i < k; ++i)
                        for (int r = 0; r < height; r += w)
                            store(packed_a + i * 16 + r,
                                  load_tail(at.data + i * a.step + r, height - r < w ? height - r : w));
                at = a.step == 1 ? Operand<T>{packed_a, kPackedStride, 1} : Operand<T>{packed_a, 1, 16};
            }
            for (Index n = n0; n < n1; n += panel) {
                const T* bn = pack ? packed_b + (n - n0) * kBlockK : b.at(k0, n);
                const Index ldb = pack ? panel : b.ld;
                const Index left = n1 - n;
                T* to = c + m * ldc + n;
                if (left >= panel)
                    tile_of<2, false>(height, row_counts, at, bn, ldb, k, w, to, ldc, first, last, m, n,
                                      epilogue);
                else if (left > w)
                    tile_of<2, true>(height, row_counts, at, bn, ldb, k, int(left - w), to, ldc, first, last,
                                     m, n, epilogue);
                else
                    tile_of<1, true>(height, row_counts, at, bn, ldb, k, int(left), to, ldc, first, last, m,
                                     n, epilogue);
            }
        }
        k0 += k;
    } while (k0 < K);
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
