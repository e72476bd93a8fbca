// Tiles of a gradient of weights whose rows of x lie anywhere.
#pragma once
#include "../matmul/sizes.hpp"
#include "../vector/simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// A chain over images, and rows of their places.
template <class T>
struct ApartTile {
    Index x_image, x_row, x_step;
    Index dy_image, dy_row, dy_step;
    Index images, rows, k;
    Index ldc;
    bool first;
    const T* const* taps = nullptr;  // where the rows of x begin
    const T* dy = nullptr;
    T* c = nullptr;
    int height = 0, tail = 0;
};

// As multiply() of matmul/multiply.hpp: row m of A begins at base[m] + offset.
template <int Rows, int Vectors, bool Masked, class T>
BP_INLINE void multiply_apart(vec<T> (&acc)[Rows][Vectors], const T* const* base, Index offset, Index step,
                              const T* b, Index ldb, Index k_end, int tail) {
    for (Index k = 0; k < k_end; ++k, offset += step, b += ldb) {
        vec<T> bv[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
            bv[v] = Masked && v + 1 == Vectors ? load_tail(b + v * width<T>, tail) : load(b + v * width<T>);
#pragma GCC unroll 16
        for (int m = 0; m < Rows; ++m) {
            const vec<T> av = broadcast<T>(base[m][offset]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) acc[m][v] = fma(av, bv[v], acc[m][v]);
        }
    }
}

// Lower tiles than Rows repeat their last row, and store `height` rows.
template <int Rows, int Vectors, bool Masked, class T>
__attribute__((noinline)) void apart_tile(const ApartTile<T>& tile) {
    const ApartTile<T> t = tile;
    constexpr int w = width<T>;
    vec<T> acc[Rows][Vectors];
    const T* taps[Rows];
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m) {
        const int row = m < t.height ? m : t.height - 1;
        taps[m] = t.taps[row];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            const T* from = t.c + row * t.ldc + v * w;
            acc[m][v] = t.first                      ? vec<T>{}
                        : Masked && v + 1 == Vectors ? load_tail(from, t.tail)
                                                     : load(from);
        }
    }
    for (Index n = 0; n < t.images; ++n)
        for (Index p = 0; p < t.rows; ++p)
            multiply_apart<Rows, Vectors, Masked>(acc, taps, n * t.x_image + p * t.x_row, t.x_step,
                                                  t.dy + n * t.dy_image + p * t.dy_row, t.dy_step, t.k,
                                                  t.tail);
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m) {
        if (m >= t.height) break;
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            T* to = t.c + m * t.ldc + v * w;
            if (Masked && v + 1 == Vectors)
                store_tail(to, acc[m][v], t.tail);
            else
                store(to, acc[m][v]);
        }
    }
}

// RowTiles of more than kTileRows rows are no lower than this.
constexpr int kLeastHeight = kTileRows / 2;

template <int Vectors, bool Masked, class T, int... Rows>
BP_INLINE void apart_tile_rows(const ApartTile<T>& tile, std::integer_sequence<int, Rows...>) {
    using Compute = void (*)(const ApartTile<T>&);
    static constexpr Compute computes[] = {&apart_tile<Rows + kLeastHeight, Vectors, Masked, T>...};
    computes[tile.height < kLeastHeight ? 0 : tile.height - kLeastHeight](tile);
}

// Columns 1 .. kPanel.
template <class T>
BP_INLINE void compute_apart_tile(ApartTile<T>& tile, Index columns) {
    constexpr int w = width<T>;
    const auto heights = std::make_integer_sequence<int, kTileRows - kLeastHeight + 1>{};
    tile.tail = int(columns >= kPanel<T> ? w : columns > w ? columns - w : columns);
    if (columns >= kPanel<T>)
        apart_tile_rows<2, false>(tile, heights);
    else if (columns > w)
        apart_tile_rows<2, true>(tile, heights);
    else
        apart_tile_rows<1, true>(tile, heights);
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
