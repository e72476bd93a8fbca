// The micro-kernels: a tile of C in registers, for each height, width and dtype.
#include "finish.hpp"
#include "multiply.hpp"
#include "tile.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// A high tile does its last steps of k half by half: the upper half is stored while the lower one is multiplied. All of its stores at
// once, two places each in the queue of a Zen 4, hold up those of the next tile, and with them its first products.
template <int Rows, int Vectors>
constexpr bool kHalves = Rows * Vectors * kBytes > 20 * 64;
constexpr Index kLastSteps = 6;

// The epilogue of rows [First, First + Rows), and their stores.
template <int First, int Rows, bool Masked, int All, int Vectors, class T>
BP_INLINE void finish_rows(vec<T> (&acc)[All][Vectors], const Tile<T>& tile) {
    const int tail = tile.tail;
    if (tile.epilogue)
        finish<Rows, Vectors, Masked, First>(acc, *tile.epilogue, tile.row + First, tile.col, tail);
    each_row<Rows>(tile.c + First * tile.ldc, tile.ldc, [&](int m, T* row) BP_INLINED {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
            if (Masked && v + 1 == Vectors)
                store_tail(row + v * width<T>, acc[First + m][v], tail);
            else
                store(row + v * width<T>, acc[First + m][v]);
    });
}

template <int Rows, int Vectors, bool Masked, bool Pack, class T>
void compute(const Tile<T>& tile) {
    const int tail = tile.tail;
    const Index ldb = tile.ldb;
    vec<T> acc[Rows][Vectors] = {};
    if (!tile.first)
        each_row<Rows>(tile.c, tile.ldc, [&](int m, const T* row) BP_INLINED {
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v)
                acc[m][v] = Masked && v + 1 == Vectors ? load_tail(row + v * width<T>, tail)
                                                       : load(row + v * width<T>);
        });
    // In memory: the compiler would keep it in a vector register, whose moves wait behind all products.
    const Tile<T>* volatile kept = &tile;
    constexpr bool halves = !Pack && kHalves<Rows, Vectors>;
    const Index last = !halves ? 0 : tile.k < kLastSteps ? tile.k : kLastSteps;
    Operand<T> a = tile.a;
    const T* b = tile.b;
    const KPieces* const pieces = Pack ? nullptr : tile.pieces;
    for (Index i = 0, j = 0;;) {
        if (pieces && ++j == pieces->inner) {
            j = 0;
            ++i;
        }
        const bool more = pieces && i < pieces->outer;
        multiply<Rows, Vectors, Masked, Pack>(acc, a, b, ldb, more ? tile.k : tile.k - last, tail,
                                              tile.packed);
        if (!more) break;
        a.data = tile.a.data + i * pieces->a_outer + j * pieces->a_inner;
        b = tile.b + i * pieces->b_outer + j * pieces->b_inner;
    }
    if constexpr (halves) {
        constexpr int upper = Rows / 2, lower = Rows - upper;
        a.data += (tile.k - last) * a.step;
        b += (tile.k - last) * ldb;
        multiply<upper, Vectors, Masked, false>(acc, a, b, ldb, last, tail, tile.packed);
        finish_rows<0, upper, Masked>(acc, *kept);
        a.data += upper * a.row;
        multiply<lower, Vectors, Masked, false, upper>(acc, a, b, ldb, last, tail, tile.packed);
        finish_rows<upper, lower, Masked>(acc, *kept);
    } else {
        finish_rows<0, Rows, Masked>(acc, *kept);
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
