// Matrix products C = A · B for the shapes of training: one micro-kernel under one blocking.
//
// An element of C is a single chain of FMAs over k, in order, for every tile and every blocking. Therefore a row of a forward
// pass has the same bits in a batch of one and in a batch of a thousand.
#pragma once
#include "pack.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// ---- one tile ---------------------------------------------------------------------------------------------

// A tile of C: some rows of A times a panel of B, over k steps.
template <class T>
struct Tile {
    Operand<T> a;
    const T* b;
    Index ldb;
    Index k;
    T* packed;  // where the panel of B is packed as the tile reads it, or null
    T* c;
    Index ldc;
    Index row, col;    // the place in C, for the epilogue
    int tail;          // lanes of the last vector of columns
    bool first, last;  // starts the chains, from zero; ends them, with the epilogue
};

// acc[m][v] += A(m, k) · B(k, v) over all k. Masked: the last vector of columns has `tail` lanes. Pack: the panel of B is packed
// for later tiles, hidden behind the FMAs.
template <int Rows, int Vectors, bool Masked, bool Pack, class T>
BP_INLINE void multiply(vec<T> (&acc)[Rows][Vectors], Operand<T> a, const T* b, Index ldb, Index k_end,
                        int tail, T* packed) {
    const T* base[(Rows + 2) / 3];  // one pointer for three rows: base, base + row, base + 2 row
    for (int i = 0; i < (Rows + 2) / 3; ++i) base[i] = a.data + 3 * i * a.row;
    for (Index k = 0; k < k_end; ++k) {
        vec<T> bv[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            bv[v] = Masked && v + 1 == Vectors ? load_tail(b + v * width<T>, tail) : load(b + v * width<T>);
            if constexpr (Pack) {
                store(packed + v * width<T>, bv[v]);
                __builtin_prefetch(b + kRowsAhead * ldb + v * width<T>);
            }
        }
        packed += Pack ? kPanel<T> : 0;
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

template <int Rows, int Vectors, bool Masked, bool Pack, class T, class Epilogue>
__attribute__((noinline)) void compute(const Tile<T>& tile, const Epilogue& epilogue) {
    // Local copies, because the compiler must assume that a store to C changes the tile.
    T* const c = tile.c;
    const Index ldc = tile.ldc, row = tile.row, first_col = tile.col;
    const int tail = tile.tail;
    const bool first = tile.first, last = tile.last;
    vec<T> acc[Rows][Vectors];
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            const T* from = c + m * ldc + v * width<T>;
            acc[m][v] = first ? vec<T>{} : Masked && v + 1 == Vectors ? load_tail(from, tail) : load(from);
        }
    multiply<Rows, Vectors, Masked, Pack>(acc, tile.a, tile.b, tile.ldb, tile.k, tail, tile.packed);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
        const bool masked = Masked && v + 1 == Vectors;
        const int lanes = masked ? tail : width<T>;
        const Index col = first_col + v * width<T>;
        const auto column = epilogue.template column<T>(col, lanes, masked);
#pragma GCC unroll 16
        for (int m = 0; m < Rows; ++m) {
            vec<T> value = acc[m][v];
            if (last) value = epilogue.apply(value, column, row + m, col, lanes, masked);
            T* to = c + m * ldc + v * width<T>;
            if (masked)
                store_tail(to, value, lanes);
            else
                store(to, value);
        }
    }
}

// compute() for a tile of `rows` rows; kTileRows if it packs.
template <int Vectors, bool Masked, class T, class Epilogue, int... Rows>
BP_INLINE void compute_rows(int rows, std::integer_sequence<int, Rows...>, const Tile<T>& tile,
                            const Epilogue& epilogue) {
    using Compute = void (*)(const Tile<T>&, const Epilogue&);
    static constexpr Compute computes[] = {&compute<kTileRows, Vectors, Masked, true, T, Epilogue>,
                                           &compute<Rows + 1, Vectors, Masked, false, T, Epilogue>...};
    computes[tile.packed ? 0 : rows](tile, epilogue);
}

// ---- blocking ---------------------------------------------------------------------------------------------

// Rows m0 .. m1 of C, cut into tiles of even height: their heights differ by at most one row (fill_first: except the first).
struct RowTiles {
    Index count, m0, m1, origin, height, higher;

    BP_INLINE RowTiles(Index m0, Index m1) : count((m1 - m0 + kTileRows - 1) / kTileRows), m0(m0), m1(m1) {
        origin = m0;
        height = (m1 - m0) / count;
        higher = (m1 - m0) % count;
    }
    // Give the first tile its full height, because it packs B.
    BP_INLINE void fill_first() {
        const Index rest = m1 - m0 - kTileRows;
        height = rest / (count - 1);
        higher = rest % (count - 1) + 1;
        origin = m0 + kTileRows - height - 1;
    }
    BP_INLINE Index begin(Index t) const {
        return t == 0 ? m0 : t == count ? m1 : origin + t * height + (t < higher ? t : higher);
    }
};

// How one product is computed: decided once, for all its tiles.
template <class T, class B>
struct Blocking {
    RowTiles rows;
    Index panels;       // of B
    Index most_k;       // steps of k in one pass over C
    bool packs_b;       // the first tile of each panel packs it, hidden behind the FMAs
    bool copies_a;      // the rows of A are copied, tile by tile
    bool prefetches_c;  // the next tile of C is prefetched for writing

    BP_INLINE Blocking(const Operand<T>& a, const B& b, Index ldc, const Piece& piece, Index K)
        : rows(piece.m0, piece.m1) {
        constexpr Index size = Index(sizeof(T));
        const Index columns = piece.n1 - piece.n0, blocks = (K + kBlockK - 1) / kBlockK;
        panels = (columns + kPanel<T> - 1) / kPanel<T>;
        most_k = blocks < 2 ? K : ((K + blocks - 1) / blocks + width<T> - 1) / width<T> * width<T>;
        packs_b = !B::must_pack && rows.count >= kReadsOfPacked && K >= kWorthCopying &&
                  (b.ld * size % kTwoSets == 0 || b.ld * K * size > kLargeB);
        if (packs_b) rows.fill_first();
        copies_a = worth_copying(a, columns, K);
        prefetches_c = K <= kBlockK && ldc * size >= kFarRows;
    }
};

// A piece of C of at most kBlockColumns columns; K products an element.
template <class T, class B, class Epilogue>
void gemm_block(Operand<T> a, const B& b, Output<T> c, Piece piece, Index K, const Epilogue& epilogue,
                Scratch scratch) {
    constexpr int w = width<T>, panel = kPanel<T>;
    if (piece.m1 <= piece.m0 || piece.n1 <= piece.n0) return;
    const Blocking<T, B> blocking(a, b, c.ld, piece, K);
    const RowTiles& rows = blocking.rows;
    T* const packed_b = static_cast<T*>(scratch.data);
    const CopiedRows<T> copied(a, blocking.copies_a, packed_b + kBlockK * kBlockColumns);
    const auto row_counts = std::make_integer_sequence<int, kTileRows>{};

    Index k0 = 0;
    do {  // at least once: for K = 0, C = epilogue(0)
        const Index k = K - k0 < blocking.most_k ? K - k0 : blocking.most_k;
        const Index next = K - k0 - k < blocking.most_k ? K - k0 - k : blocking.most_k;
        if constexpr (B::must_pack) b.pack(k0, k, piece.n0, piece.n1, packed_b);
        for (Index t = 0; t < rows.count; ++t) {
            const Index m = rows.begin(t);
            const int height = int(rows.begin(t + 1) - m);
            const Operand<T> a_rows = copied.tile(rows, t, k0, k);
            const bool packs = blocking.packs_b && t == 0;
            const bool reads_packed = B::must_pack || (blocking.packs_b && t > 0);
            for (Index p = 0, n = piece.n0; p < blocking.panels; ++p, n += panel) {
                T* const packed = packed_b + p * (panel * kBlockK);
                const Index left = piece.n1 - n;
                const Tile<T> tile{.a = a_rows,
                                   .b = reads_packed ? packed : b.at(k0, n),
                                   .ldb = reads_packed ? panel : b.ld,
                                   .k = k,
                                   .packed = packs ? packed : nullptr,
                                   .c = c.data + m * c.ld + n,
                                   .ldc = c.ld,
                                   .row = m,
                                   .col = n,
                                   .tail = int(left >= panel ? w
                                               : left > w    ? left - w
                                                             : left),
                                   .first = k0 == 0,
                                   .last = next == 0};
                if (left >= panel)
                    compute_rows<2, false>(height, row_counts, tile, epilogue);
                else if (left > w)
                    compute_rows<2, true>(height, row_counts, tile, epilogue);
                else
                    compute_rows<1, true>(height, row_counts, tile, epilogue);
                if (blocking.prefetches_c) prefetch_to_write(tile.c + height * c.ld, c.ld, height, panel);
                if constexpr (!B::must_pack)
                    if (blocking.packs_b && next) {  // each tile prefetches its part of the next block of B
                        const Index part = t * blocking.panels + p, parts = rows.count * blocking.panels;
                        b.prefetch(k0 + k + part * next / parts, k0 + k + (part + 1) * next / parts, piece.n0,
                                   piece.n1);
                    }
            }
        }
        k0 += k;
    } while (k0 < K);
}

// A piece of C of any number of columns.
template <class T, class B, class Epilogue>
BP_INLINE void gemm(Operand<T> a, const B& b, Output<T> c, Piece piece, Index K, const Epilogue& epilogue,
                    Scratch scratch) {
    for (Index n = piece.n0; n < piece.n1; n += kBlockColumns) {
        const Index end = piece.n1 - n < kBlockColumns ? piece.n1 : n + kBlockColumns;
        gemm_block(a, b, c, Piece{piece.m0, piece.m1, n, end}, K, epilogue, scratch);
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
