// A convolution of one channel to few: they would fill few lanes, so the places of an output row lie in the lanes.
#pragma once
#include "tile.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// The most output channels for which this pays.
template <class T>
constexpr int kNarrow = width<T> / 2;

// Places [0, places) of an output row; a tile as in tile.hpp whose rows of A are one element apart.
template <int Channels, int Vectors, class T>
__attribute__((noinline)) void narrow_tile(const ConvTile<T>& tile, int places) {
    constexpr int w = width<T>;
    const ConvTile<T> t = tile;
    const int tail = places - (Vectors - 1) * w;
    vec<T> acc[Channels][Vectors] = {};
    const T* b = t.b;
    for (Index i = 0; i < t.taps_h; ++i, b += t.run * kPanel<T>)
        multiply<Channels, Vectors, true, false>(acc, Operand<T>{b, 1, kPanel<T>}, t.a + i * t.tap_h, 1,
                                                 t.run, tail, static_cast<T*>(nullptr));
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
        vec<T> square[w];
#pragma GCC unroll 16
        for (int m = 0; m < w; ++m) {
            square[m] = m < Channels ? acc[m < Channels ? m : 0][v] : vec<T>{};
            if (m < Channels && t.bias) square[m] += t.bias[m];
            if (m < Channels && t.relu) square[m] = max(vec<T>{}, square[m]);
        }
        transpose<T>(square);
        T* c = t.c + v * w * t.ldc;
        const int count = v + 1 == Vectors ? tail : w;
        for (int q = 0; q < count; ++q, c += t.ldc) store_tail(c, square[q], Channels);
    }
}

template <int Vectors, class T, int... Channels>
BP_INLINE void narrow_tile_of(int channels, const ConvTile<T>& tile, int places,
                              std::integer_sequence<int, Channels...>) {
    using Compute = void (*)(const ConvTile<T>&, int);
    static constexpr Compute computes[] = {&narrow_tile<Channels + 1, Vectors, T>...};
    computes[channels - 1](tile, places);
}

// All places of an output row, for 1 .. kNarrow channels.
template <class T>
BP_INLINE void narrow_row(int channels, Index places, ConvTile<T> tile) {
    constexpr int w = width<T>;
    const auto counts = std::make_integer_sequence<int, kNarrow<T>>{};
    for (Index q = 0; q < places; q += 2 * w, tile.a += 2 * w, tile.c += 2 * w * tile.ldc) {
        const int left = int(places - q < 2 * w ? places - q : 2 * w);
        if (left > w)
            narrow_tile_of<2>(channels, tile, left, counts);
        else
            narrow_tile_of<1>(channels, tile, left, counts);
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
