// Matrix products C = A · B for the shapes of training. Packer and epilogue are functors.
//
// Every element of C is one chain of FMAs over k in order, whatever the tile, the blocking or the other rows: that is why
// a row of a forward pass has the same bits in a batch of one and in a batch of a thousand.
#pragma once
#include "pack.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// acc[m][v] += A(m, k) · B(k, v) over k; b's rows are `ldb` apart, the last vector has `tail` lanes if Masked. Keep: what is
// read of B is also written to `kept`, panel by panel: packing for the tiles to come costs nothing beside the FMAs of this one.
template <int Rows, int Vectors, bool Masked, bool Keep, class T>
BP_INLINE void multiply(vec<T> (&acc)[Rows][Vectors], Operand<T> a, const T* b, Index ldb, Index k_end,
                        int tail, T* kept) {
    const T* base[(Rows + 2) / 3];  // three rows share a pointer: base, base + row, base + 2 row
    for (int i = 0; i < (Rows + 2) / 3; ++i) base[i] = a.data + 3 * i * a.row;
    for (Index k = 0; k < k_end; ++k) {
        vec<T> bv[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            bv[v] = Masked && v + 1 == Vectors ? load_tail(b + v * width<T>, tail) : load(b + v * width<T>);
            if constexpr (Keep) {
                store(kept + v * width<T>, bv[v]);
                __builtin_prefetch(b + kRowsAhead * ldb + v * width<T>);
            }
        }
        kept += Keep ? kPanel<T> : 0;
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
template <int Rows, int Vectors, bool Masked, bool Keep, class T, class Epilogue>
__attribute__((noinline)) void tile(Operand<T> a, const T* b, Index ldb, Index k, int tail, T* kept, T* c,
                                    Index ldc, bool first, bool last, Index row, Index col,
                                    const Epilogue& epilogue) {
    vec<T> acc[Rows][Vectors];
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            const T* from = c + m * ldc + v * width<T>;
            acc[m][v] = first ? vec<T>{} : Masked && v + 1 == Vectors ? load_tail(from, tail) : load(from);
        }
    multiply<Rows, Vectors, Masked, Keep>(acc, a, b, ldb, k, tail, kept);
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

// The tile of so many rows; with `kept` not null, of kTileRows.
template <int Vectors, bool Masked, class T, class Epilogue, int... Rows>
BP_INLINE void tile_of(int rows, std::integer_sequence<int, Rows...>, Operand<T> a, const T* b, Index ldb,
                       Index k, int tail, T* kept, T* c, Index ldc, bool first, bool last, Index row,
                       Index col, const Epilogue& epilogue) {
    using Tile = void (*)(Operand<T>, const T*, Index, Index, int, T*, T*, Index, bool, bool, Index, Index,
                          const Epilogue&);
    static constexpr Tile tiles[] = {&tile<kTileRows, Vectors, Masked, true, T, Epilogue>,
                                     &tile<Rows + 1, Vectors, Masked, false, T, Epilogue>...};
    tiles[kept ? 0 : rows](a, b, ldb, k, tail, kept, c, ldc, first, last, row, col, epilogue);
}

// Rows m0 .. m1 cut into tiles of even height, so that none is left with a row or two; the first may be of full height.
struct Tiles {
    Index count, m0, m1, origin, height, higher;

    BP_INLINE Tiles(Index m0, Index m1) : count((m1 - m0 + kTileRows - 1) / kTileRows), m0(m0), m1(m1) {
        origin = m0, height = (m1 - m0) / count, higher = (m1 - m0) % count;
    }
    BP_INLINE void fill_first() {
        const Index rest = m1 - m0 - kTileRows;
        height = rest / (count - 1), higher = rest % (count - 1) + 1;
        origin = m0 + kTileRows - height - 1;
    }
    BP_INLINE Index begin(Index t) const {
        return t == 0 ? m0 : t == count ? m1 : origin + t * height + (t < higher ? t : higher);
    }
};

// Rows m0 .. m1 and columns n0 .. n1 (at most kBlockColumns) of C = A · B, K products an element.
template <class T, class B, class Epilogue>
void gemm_block(Operand<T> a, const B& b, T* c, Index ldc, Index m0, Index m1, Index n0, Index n1, Index K,
                const Epilogue& epilogue, Scratch scratch) {
    constexpr int w = width<T>, panel = kPanel<T>;
    if (m1 <= m0 || n1 <= n0) return;
    T* const packed_b = static_cast<T*>(scratch.data);
    Tiles tiles(m0, m1);
    // Strides near a multiple of 2 KiB put all rows into few sets of a cache; a copy pays once it is used a few times.
    const bool pack =
        B::must_pack || (tiles.count >= 4 && K >= 64 &&
                         (b.ld * Index(sizeof(T)) % 2048 == 0 || b.ld * K * Index(sizeof(T)) > (1 << 20)));
    if (pack && !B::must_pack) tiles.fill_first();
    CopiedRows<T> copied(a, n1 - n0, K, packed_b + kBlockK * kBlockColumns);
    const bool far = K <= kBlockK && ldc * Index(sizeof(T)) >= 2048;  // rows of a C that is only written
    const Index panels = (n1 - n0 + panel - 1) / panel, steps = tiles.count * panels;
    const Index blocks = (K + kBlockK - 1) / kBlockK;
    const Index most = blocks < 2 ? K : ((K + blocks - 1) / blocks + w - 1) / w * w;  // at most kBlockK
    const auto row_counts = std::make_integer_sequence<int, kTileRows>{};

    Index k0 = 0;
    do {  // once even if K is 0: C = epilogue(0)
        const Index k = K - k0 < most ? K - k0 : most;
        const Index next = K - k0 - k < most ? K - k0 - k : most;
        const bool first = k0 == 0, last = next == 0;
        if constexpr (B::must_pack) b.pack(k0, k, n0, n1, packed_b);
        for (Index t = 0; t < tiles.count; ++t) {
            const Index m = tiles.begin(t);
            const int height = int(tiles.begin(t + 1) - m);
            const Operand<T> at = copied.tile(tiles, t, k0, k);
            const bool keep = pack && !B::must_pack && t == 0;
            for (Index p = 0, n = n0; p < panels; ++p, n += panel) {
                T* const packed = packed_b + p * (panel * kBlockK);
                const T* const bn = pack && !keep ? packed : b.at(k0, n);
                const Index ldb = pack && !keep ? panel : b.ld;
                const Index left = n1 - n;
                T* const to = c + m * ldc + n;
                if (left >= panel)
                    tile_of<2, false>(height, row_counts, at, bn, ldb, k, w, keep ? packed : nullptr, to, ldc,
                                      first, last, m, n, epilogue);
                else if (left > w)
                    tile_of<2, true>(height, row_counts, at, bn, ldb, k, int(left - w),
                                     keep ? packed : nullptr, to, ldc, first, last, m, n, epilogue);
                else
                    tile_of<1, true>(height, row_counts, at, bn, ldb, k, int(left), keep ? packed : nullptr,
                                     to, ldc, first, last, m, n, epilogue);
                if (far) prefetch_to_write(to + height * ldc, ldc, height, panel);
                if constexpr (!B::must_pack)
                    if (pack && next) {  // the block of B that comes next, bit by bit
                        const Index part = t * panels + p;
                        b.prefetch(k0 + k + part * next / steps, k0 + k + (part + 1) * next / steps, n0, n1);
                    }
            }
        }
        k0 += k;
    } while (k0 < K);
}

// The same for any number of columns.
template <class T, class B, class Epilogue>
BP_INLINE void gemm(Operand<T> a, const B& b, T* c, Index ldc, Index m0, Index m1, Index n0, Index n1,
                    Index K, const Epilogue& epilogue, Scratch scratch) {
    for (Index n = n0; n < n1; n += kBlockColumns) {
        const Index end = n1 - n < kBlockColumns ? n1 : n + kBlockColumns;
        gemm_block(a, b, c, ldc, m0, m1, n, end, K, epilogue, scratch);
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
