// The micro-kernels: a tile of C in registers, for each height, width and dtype.
#include "finish.hpp"
#include "multiply.hpp"
#include "tile.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <int Rows, int Vectors, bool Masked, bool Pack, class T>
void compute(const Tile<T>& tile) {
    // Local copies, because the compiler must assume that a store to C changes the tile.
    T* const c = tile.c;
    const Index ldc = tile.ldc;
    const int tail = tile.tail;
    vec<T> acc[Rows][Vectors];
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            const T* from = c + m * ldc + v * width<T>;
            acc[m][v] = tile.first                   ? vec<T>{}
                        : Masked && v + 1 == Vectors ? load_tail(from, tail)
                                                     : load(from);
        }
    Operand<T> a = tile.a;
    const T* b = tile.b;
    const KPieces* const pieces = Pack ? nullptr : tile.pieces;
    for (Index i = 0, j = 0;;) {
        multiply<Rows, Vectors, Masked, Pack>(acc, a, b, tile.ldb, tile.k, tail, tile.packed);
        if (!pieces) break;
        if (++j == pieces->inner) {
            j = 0;
            if (++i == pieces->outer) break;
        }
        a.data = tile.a.data + i * pieces->a_outer + j * pieces->a_inner;
        b = tile.b + i * pieces->b_outer + j * pieces->b_inner;
    }
    if (tile.epilogue) finish<Rows, Vectors, Masked>(acc, *tile.epilogue, tile.row, tile.col, tail);
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            T* to = c + m * ldc + v * width<T>;
            if (Masked && v + 1 == Vectors)
                store_tail(to, acc[m][v], tail);
            else
                store(to, acc[m][v]);
        }
}

template <class T, int... Rows>
constexpr Tiles<T> all_tiles(std::integer_sequence<int, Rows...>) {
    return {{{&compute<kTileRows, 2, false, true, T>, &compute<Rows + 1, 2, false, false, T>...},
             {&compute<kTileRows, 2, true, true, T>, &compute<Rows + 1, 2, true, false, T>...},
             {&compute<kTileRows, 1, true, true, T>, &compute<Rows + 1, 1, true, false, T>...}}};
}

constexpr auto kHeights = std::make_integer_sequence<int, kTileRows>{};

}  // namespace

const Tiles<float> float_tiles = all_tiles<float>(kHeights);
const Tiles<double> double_tiles = all_tiles<double>(kHeights);

}  // namespace backpass::BACKPASS_ISA
