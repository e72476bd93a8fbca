// The blocking of products with a row-major B: which tiles, in which order, and what is copied on the way.
#include "gemm.hpp"

#include "row_tiles.hpp"
#include "tile.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// How one product is computed: decided once, for all its tiles.
template <class T>
struct Blocking {
    RowTiles rows;
    Index panels;       // of B
    Index most_k;       // steps of k in one pass over C
    bool packs_b;       // the first tile of each panel packs it, hidden behind the FMAs
    bool copies_a;      // the rows of A are copied, tile by tile
    bool prefetches_c;  // the next tile of C is prefetched for writing

    BP_INLINE Blocking(const Operand<T>& a, const RowMajor<T>& b, Index ldc, const Piece& piece, Index K,
                       const Caches& caches)
        : rows(piece.m0, piece.m1) {
        constexpr Index size = Index(sizeof(T));
        const Index columns = piece.n1 - piece.n0;
        panels = (columns + kPanel<T> - 1) / kPanel<T>;
        most_k = block_k<T>(K);
        packs_b = rows.count >= kReadsOfPacked && K >= kWorthCopying &&
                  (b.ld * size >= kFarRows || b.ld * size % kBytes || b.ld * K * size > caches.l2);
        if (packs_b) rows.fill_first();
        copies_a = worth_copying(a, columns, K, caches);
        prefetches_c = K <= kBlockK && ldc * size >= kFarRows;
    }
};

// A piece of C of at most block_columns() columns; K products an element.
template <class T>
void gemm_block(Operand<T> a, RowMajor<T> b, Output<T> c, Piece piece, Index K, const Epilogue<T>* epilogue,
                Scratch scratch) {
    constexpr int panel = kPanel<T>;
    if (piece.m1 <= piece.m0 || piece.n1 <= piece.n0) return;
    const Blocking<T> blocking(a, b, c.ld, piece, K, *scratch.caches);
    const RowTiles& rows = blocking.rows;
    T* const packed_b = static_cast<T*>(scratch.data);
    const CopiedRows<T> copied(a, blocking.copies_a, packed_b + kBlockK * kBlockColumns,
                               a.step == 1 ? 1 : kCopiedTiles);

    Index k0 = 0;
    do {  // at least once: for K = 0, C = epilogue(0)
        const Index k = K - k0 < blocking.most_k ? K - k0 : blocking.most_k;
        const Index next = K - k0 - k < blocking.most_k ? K - k0 - k : blocking.most_k;
        for (Index t = 0; t < rows.count; ++t) {
            const Index m = rows.begin(t);
            const int height = int(rows.begin(t + 1) - m);
            copied.copy(rows, t, k0, k);
            const bool packs = blocking.packs_b && t == 0;
            const bool reads_packed = blocking.packs_b && t > 0;
            // Only what differs from panel to panel is written between two tiles.
            Tile<T> tile{.a = copied.tile(rows, t, k0),
                         .b = reads_packed ? packed_b : b.at(k0, piece.n0),
                         .ldb = reads_packed ? panel : b.ld,
                         .k = k,
                         .packed = packs ? packed_b : nullptr,
                         .c = c.data + m * c.ld + piece.n0,
                         .ldc = c.ld,
                         .epilogue = next == 0 ? epilogue : nullptr,
                         .row = m,
                         .col = piece.n0,
                         .first = k0 == 0 && !c.adds};
            const Index step = reads_packed ? panel * kBlockK : panel;
            for (Index p = 0; p < blocking.panels; ++p) {
                compute_tile(tile, height, piece.n1 - tile.col);
                if (blocking.prefetches_c) prefetch_to_write(tile.c + height * c.ld, c.ld, height, panel);
                if (blocking.packs_b && next) {  // each tile prefetches its part of the next block of B
                    const Index part = t * blocking.panels + p, parts = rows.count * blocking.panels;
                    prefetch(b, k0 + k + part * next / parts, k0 + k + (part + 1) * next / parts, piece.n0,
                             piece.n1);
                }
                tile.b += step;
                tile.packed += packs ? panel * kBlockK : 0;
                tile.c += panel;
                tile.col += panel;
            }
        }
        k0 += k;
    } while (k0 < K);
}

template <class T>
BP_INLINE void gemm_blocks(Operand<T> a, const RowMajor<T>& b, Output<T> c, const Piece& piece, Index K,
                           const Epilogue<T>& epilogue, Scratch scratch) {
    const Index most = block_columns<T>(*scratch.caches);
    for (Index n = piece.n0; n < piece.n1; n += most) {
        const Index end = piece.n1 - n < most ? piece.n1 : n + most;
        gemm_block(a, b, c, Piece{piece.m0, piece.m1, n, end}, K,
                   epilogue.does_nothing() ? nullptr : &epilogue, scratch);
    }
}

}  // namespace

#define BACKPASS_GEMM(T)                                                                    \
    template <>                                                                             \
    void gemm(Operand<T> a, const RowMajor<T>& b, Output<T> c, const Piece& piece, Index K, \
              const Epilogue<T>& epilogue, Scratch scratch) {                               \
        gemm_blocks(a, b, c, piece, K, epilogue, scratch);                                  \
    }
BACKPASS_GEMM(float)
BACKPASS_GEMM(double)

}  // namespace backpass::BACKPASS_ISA
