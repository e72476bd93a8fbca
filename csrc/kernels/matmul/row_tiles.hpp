// The rows of a product as rows of tiles.
#pragma once
#include "sizes.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

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

}  // namespace
}  // namespace backpass::BACKPASS_ISA
