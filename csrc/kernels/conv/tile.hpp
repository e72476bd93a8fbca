// A tile of a convolution: neighbouring places of an output row times a panel of channels, over all taps.
#pragma once
#include "../matmul/gemm.hpp"
#include "../vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// What happens to a tile before it is stored: bias, relu; or zeros where relu below let nothing through.
template <class T>
struct ConvEpilogue {
    const T* bias = nullptr;
    bool relu = false;
    const T* passed = nullptr;  // laid out as the output
};

template <class T>
struct ConvTile {
    const T* a;  // at tap (i, j): row m is a + i * tap_h + j * tap_w + m * row, `run` elements
    Index row, tap_h, tap_w, taps_h, taps_w, run;
    const T* b;  // packed: for each tap `run` rows of kPanel
    T* c;
    Index ldc;
    const T* bias;    // of the first column, or null
    const T* passed;  // as c, or null
    bool relu, first, last;
    int tail;  // lanes of the last vector of columns
};

template <int Rows, int Vectors, class T>
__attribute__((noinline)) void conv_tile(const ConvTile<T>& tile) {
    constexpr int w = width<T>;
    // Local copies, because the compiler must assume that a store to C changes the tile.
    const ConvTile<T> t = tile;
    vec<T> acc[Rows][Vectors];
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            const T* from = t.c + m * t.ldc + v * w;
            acc[m][v] = t.first ? vec<T>{} : v + 1 == Vectors ? load_some(from, t.tail) : load(from);
        }
    const T* b = t.b;
    for (Index i = 0; i < t.taps_h; ++i)
        for (Index j = 0; j < t.taps_w; ++j, b += t.run * kPanel<T>) {
            const Operand<T> a{t.a + i * t.tap_h + j * t.tap_w, t.row, 1};
            multiply<Rows, Vectors, false, false>(acc, a, b, kPanel<T>, t.run, 0, static_cast<T*>(nullptr));
        }
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
        const int lanes = v + 1 == Vectors ? t.tail : w;
        const vec<T> bias = t.bias ? load_some(t.bias + v * w, lanes) : vec<T>{};
#pragma GCC unroll 16
        for (int m = 0; m < Rows; ++m) {
            vec<T> value = acc[m][v];
            const Index at = m * t.ldc + v * w;
            if (t.last) {
                if (t.bias) value += bias;
                if (t.relu) value = max(vec<T>{}, value);
                if (t.passed) value = select(load_some(t.passed + at, lanes) > vec<T>{}, value, vec<T>{});
            }
            store_some(t.c + at, value, lanes);
        }
    }
}

template <int Vectors, class T, int... Rows>
BP_INLINE void conv_tile_rows(int rows, const ConvTile<T>& tile, std::integer_sequence<int, Rows...>) {
    using Compute = void (*)(const ConvTile<T>&);
    static constexpr Compute computes[] = {&conv_tile<Rows + 1, Vectors, T>...};
    computes[rows - 1](tile);
}

// Rows 1 .. kTileRows, columns 1 .. kPanel.
template <class T>
BP_INLINE void compute_conv_tile(int rows, Index columns, ConvTile<T> tile) {
    constexpr int w = width<T>;
    const auto counts = std::make_integer_sequence<int, kTileRows>{};
    tile.tail = int(columns > w ? columns - w : columns);
    if (columns > w)
        conv_tile_rows<2>(rows, tile, counts);
    else
        conv_tile_rows<1>(rows, tile, counts);
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
