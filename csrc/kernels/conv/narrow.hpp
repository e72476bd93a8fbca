// A convolution of one channel to few: they would fill few lanes, so the places of an output row lie in the lanes.
#pragma once
#include "../matmul/epilogue.hpp"
#include "../matmul/multiply.hpp"
#include "../vector/lanes.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// The most output channels for which this pays.
template <class T>
constexpr int kNarrow = width<T> / 2;

template <class T>
struct NarrowTile {
    const T* a;  // at row i of the window: place m is a + i * tap_h + m
    Index tap_h, taps_h, run;
    const T* b;  // packed: for each row of the window `run` rows of kPanel
    T* c;
    Index ldc;
    const T* bias;  // or null
    bool relu;
};

// Places [0, places) of an output row.
template <int Channels, int Vectors, class T>
__attribute__((noinline)) void narrow_tile(const NarrowTile<T>& tile, int places) {
    constexpr int w = width<T>;
    const NarrowTile<T> t = tile;
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
BP_INLINE void narrow_tile_of(int channels, const NarrowTile<T>& tile, int places,
                              std::integer_sequence<int, Channels...>) {
    using Compute = void (*)(const NarrowTile<T>&, int);
    static constexpr Compute computes[] = {&narrow_tile<Channels + 1, Vectors, T>...};
    computes[channels - 1](tile, places);
}

// All places of an output row, for 1 .. kNarrow channels.
template <class T>
BP_INLINE void narrow_row(int channels, Index places, NarrowTile<T> tile) {
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
