// A tile of C: some rows of A times a panel of B. Its code is in tiles.cpp, once for all that multiplies.
#pragma once
#include "epilogue.hpp"
#include "operands.hpp"

namespace backpass::BACKPASS_ISA {

// A chain over k in pieces: piece (i, j) begins at i * a_outer + j * a_inner of A and at i * b_outer + j * b_inner of B.
struct KPieces {
    Index outer, inner;  // how many; at least one each
    Index a_outer, a_inner, b_outer, b_inner;
};

template <class T>
struct Tile {
    Operand<T> a{};
    const T* b = nullptr;
    Index ldb = 0;
    Index k = 0;                      // steps of a piece
    const KPieces* pieces = nullptr;  // null: one
    // Where the panel of B is packed as the tile reads it, or null; of kTileRows rows, in one piece.
    T* packed = nullptr;
    T* c = nullptr;
    Index ldc = 0;
    const Epilogue<T>* epilogue = nullptr;  // null: none, or the chains go on
    Index row = 0, col = 0;                 // the place in C, for the epilogue
    int tail = 0;                           // lanes of the last vector of columns
    bool first = true;                      // starts the chains, from zero
};

// The functions for tiles of whole panels, with a tail in the second vector, and with one vector; [0] packs.
template <class T>
struct Tiles {
    using Compute = void (*)(const Tile<T>&);
    Compute of[3][kTileRows + 1];
};
extern const Tiles<float> float_tiles;
extern const Tiles<double> double_tiles;

namespace {

template <class T>
BP_INLINE const Tiles<T>& tiles() {
    if constexpr (sizeof(T) == 4)
        return float_tiles;
    else
        return double_tiles;
}

// The tile of `rows` rows and as many of `columns` as a panel has. Sets its tail.
template <class T>
BP_INLINE void compute_tile(Tile<T>& tile, int rows, Index columns) {
    constexpr int w = width<T>;
    const int kind = columns >= kPanel<T> ? 0 : columns > w ? 1 : 2;
    tile.tail = int(kind == 0 ? w : kind == 1 ? columns - w : columns);
    tiles<T>().of[kind][tile.packed ? 0 : rows](tile);
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
