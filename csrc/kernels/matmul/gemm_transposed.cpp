// Products C = A · Wᵀ: Wᵀ is transposed into the cache, a panel or some of them at a time.
#include "gemm.hpp"
#include "row_tiles.hpp"
#include "tile.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// How one product is computed. A single panel stays in the L1 cache while the tiles of all rows read it: packed into a buffer for many,
// each of its lines is fetched from the L2 cache to be written, and goes back there. But A is read once for each turn of panels: where
// its rows have to be copied and are too many for that, they read many panels in turn.
template <class T>
struct Turns {
    bool copies_a;
    bool all_rows;  // read a panel before the next one is packed
    Index panels;   // that are packed together
    Index tiles;    // of rows, that read the same panel one after the other
    Index columns;  // of C, whose chains go on in the L2 cache where they take several passes

    BP_INLINE Turns(const Operand<T>& a, const Piece& piece, const RowTiles& rows, Index K,
                    const Caches& caches) {
        constexpr Index panel = kPanel<T>, size = Index(sizeof(T));
        columns = piece.n1 - piece.n0;
        copies_a = worth_copying(a, a.step == 1 ? panel : columns, K, caches);
        all_rows = !copies_a || rows.count <= kGroupTiles;
        panels = all_rows ? 1 : kBlockColumns / panel;
        tiles = all_rows ? rows.count : a.step == 1 ? 1 : kCopiedTiles;
        if (!all_rows) columns = kBlockColumns;
        if (all_rows && K > kBlockK) {
            const Index fit = caches.l2 / 2 / ((piece.m1 - piece.m0) * size) / panel * panel;
            columns = fit < panel ? panel : fit;
        }
    }
};

template <class T>
void gemm_columns(Operand<T> a, Transposed<T> b, Output<T> c, Piece piece, Index K, const Turns<T>& turns,
                  const RowTiles& rows, const Epilogue<T>* epilogue, Scratch scratch) {
    constexpr Index panel = kPanel<T>;
    T* const packed = static_cast<T*>(scratch.data);
    const CopiedRows<T> copied(a, turns.copies_a, packed + turns.panels * kBlockK * panel, turns.tiles);
    const Index most_k = block_k<T>(K);

    Index k0 = 0;
    do {  // at least once: for K = 0, C = epilogue(0)
        const Index k = K - k0 < most_k ? K - k0 : most_k;
        Tile<T> tile{.ldb = panel,
                     .k = k,
                     .ldc = c.ld,
                     .epilogue = k0 + k == K ? epilogue : nullptr,
                     .first = k0 == 0 && !c.adds};
        for (Index n0 = piece.n0; n0 < piece.n1; n0 += turns.panels * panel) {
            const Index n1 = piece.n1 - n0 < turns.panels * panel ? piece.n1 : n0 + turns.panels * panel;
            pack_transposed(b, k0, k, n0, n1, packed);
            for (Index t0 = 0; t0 < rows.count; t0 += turns.tiles) {
                const Index t1 = rows.count - t0 < turns.tiles ? rows.count : t0 + turns.tiles;
                bool copies = n0 == piece.n0 || !turns.all_rows;
                tile.b = packed;
                for (tile.col = n0; tile.col < n1; tile.col += panel, tile.b += panel * kBlockK) {
                    tile.c = c.data + rows.begin(t0) * c.ld + tile.col;
                    for (Index t = t0; t < t1; ++t) {
                        tile.row = rows.begin(t);
                        const Index height = rows.begin(t + 1) - tile.row;
                        if (copies) copied.copy(rows, t, k0, k);
                        tile.a = copied.tile(rows, t, k0);
                        compute_tile(tile, int(height), n1 - tile.col);
                        tile.c += height * c.ld;
                    }
                    copies = false;
                }
            }
        }
        k0 += k;
    } while (k0 < K);
}

template <class T>
BP_INLINE void gemm_transposed(Operand<T> a, const Transposed<T>& b, Output<T> c, const Piece& piece, Index K,
                               const Epilogue<T>& epilogue, Scratch scratch) {
    if (piece.m1 <= piece.m0 || piece.n1 <= piece.n0) return;
    const RowTiles rows(piece.m0, piece.m1);
    const Turns<T> turns(a, piece, rows, K, *scratch.caches);
    for (Index n = piece.n0; n < piece.n1; n += turns.columns) {
        const Index end = piece.n1 - n < turns.columns ? piece.n1 : n + turns.columns;
        gemm_columns(a, b, c, Piece{piece.m0, piece.m1, n, end}, K, turns, rows,
                     epilogue.does_nothing() ? nullptr : &epilogue, scratch);
    }
}

}  // namespace

#define BACKPASS_GEMM(T)                                                                      \
    template <>                                                                               \
    void gemm(Operand<T> a, const Transposed<T>& b, Output<T> c, const Piece& piece, Index K, \
              const Epilogue<T>& epilogue, Scratch scratch) {                                 \
        gemm_transposed(a, b, c, piece, K, epilogue, scratch);                                \
    }
BACKPASS_GEMM(float)
BACKPASS_GEMM(double)

}  // namespace backpass::BACKPASS_ISA
