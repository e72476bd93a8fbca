// The blocking of products of bfloat16.
#pragma once
#include "../../ops/linear.hpp"
#include "pair_tile.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// How a precision is computed: parts of each operand, products of parts, and steps of k in a block. Shorter chains have smaller errors.
struct Mode {
    int parts, products;
    Index most_k;
};
constexpr Mode mode_of(Precision precision) {
    if (precision == Precision::bf16x6) return {3, 6, kPairBlock / 2};
    if (precision == Precision::bf16x3) return {2, 3, kPairBlock};
    return {1, 1, kPairBlock};
}
constexpr PartProduct kProducts[] = {{2, 0}, {0, 2}, {1, 1}, {1, 0}, {0, 1}, {0, 0}};
constexpr int kAllProducts = 6;

// Rows of C, cut into blocks whose heights differ by at most one; those of AMX are full but for the last.
struct RowBlocks {
    Index m0, m1, count, rows;

    RowBlocks(Index m0, Index m1, Index height, bool full)
        : m0(m0), m1(m1), count((m1 - m0 + height - 1) / height), rows(full ? count * height : m1 - m0) {}
    Index begin(Index t) const {
        const Index m = m0 + rows * t / count;
        return t < count && m < m1 ? m : m1;
    }
};

// How a product is cut. A is packed once for all its columns if all blocks of it fit into three quarters of the cache.
struct Cut {
    Mode mode;
    TileSize tile;
    Index k, blocks_of_k, height, columns, blocks_of_a;
    bool packs_a_once;

    Cut(Rounding rounding, const Piece& piece, Index K, const Caches& caches)
        : mode(mode_of(rounding.precision)), tile(tile_size(rounding.unit)) {
        blocks_of_k = K > mode.most_k ? (K + mode.most_k - 1) / mode.most_k : 1;
        const Index step = 2 * tile.steps;
        k = ((K + blocks_of_k - 1) / blocks_of_k + step - 1) / step * step;
        height = tile.rows < kPairHeight ? tile.rows : kPairHeight;
        columns = block_columns<float>(caches, mode.parts * kMostPairs * Index(sizeof(Pair)));
        const Index room = Index(kScratchBytes / sizeof(Pair)) - kMostParts * kPlaneOfB,
                    quick = caches.l2 * 3 / 4 / Index(sizeof(Pair)),
                    fit = (quick < room ? quick : room) / (mode.parts * plane_of_a(1));
        const Index all = (piece.m1 - piece.m0 + height - 1) / height * blocks_of_k;
        packs_a_once = all <= fit;
        blocks_of_a = packs_a_once ? all : fit / 2 > 2 ? fit / 2 / 2 * 2 : 2;
    }
    Index stride() const { return mode.most_k / 2 + kPairSkew; }
    Index block_of_a() const { return kPairHeight * stride(); }
    Index plane_of_a(Index blocks) const { return blocks * block_of_a() + kPlaneSkew; }
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
