// The units that multiply bfloat16: VDPBF16PS for each height and width of a tile, and its emulation.
#include "pair_tile.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

void emulated(const PairTile& tile) {
    for (int m = 0; m < tile.rows; ++m)
        for (int n = 0; n < tile.columns; ++n) {
            float sum = 0;
            for (int i = 0; i < tile.count; ++i) {
                const Pair* a = tile.a.data + tile.products[i].a * kPlaneOfA + m * tile.a.row;
                const Pair* b = tile.b + tile.products[i].b * kPlaneOfB + n;
                for (Index k = 0; k < tile.steps; ++k)
                    sum = add_pair(sum, a[k * tile.a.step], b[k * kPanel<float>]);
            }
            float& c = tile.c[m * tile.ldc + n];
            c = tile.first ? sum : c + sum;
        }
}

#if BP_BF16
template <int Rows, int Vectors>
void by_instruction(const PairTile& tile) {
    constexpr int w = width<float>;
    vec<float> acc[Rows][Vectors] = {};
    for (int i = 0; i < tile.count; ++i) {
        const Pair* a = tile.a.data + tile.products[i].a * kPlaneOfA;
        const Pair* b = tile.b + tile.products[i].b * kPlaneOfB;
        const Index row = tile.a.row, step = tile.a.step;
        const Pair* base[(Rows + 2) / 3];  // one pointer for three rows: base, base + row, base + 2 row
        for (int r = 0; r < (Rows + 2) / 3; ++r) base[r] = a + 3 * r * row;
        for (Index k = 0; k < tile.steps; ++k, b += kPanel<float>) {
            uvec<float> bv[Vectors];
            for (int v = 0; v < Vectors; ++v) bv[v] = load(b + v * w);
#pragma GCC unroll 16
            for (int m = 0; m < Rows; ++m) {
                const uvec<float> av = broadcast<Pair>(base[m / 3][(m % 3) * row]);
#pragma GCC unroll 4
                for (int v = 0; v < Vectors; ++v) acc[m][v] = add_pairs(acc[m][v], av, bv[v]);
            }
#pragma GCC unroll 8
            for (int r = 0; r < (Rows + 2) / 3; ++r) base[r] += step;
        }
    }
    const int tail = tile.columns - (Vectors - 1) * w;
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            float* c = tile.c + m * tile.ldc + v * w;
            const int lanes = v + 1 == Vectors ? tail : w;
            store_tail(c, tile.first ? acc[m][v] : load_tail(c, lanes) + acc[m][v], lanes);
        }
}

template <int Vectors, int... Rows>
ComputePairs by_instruction_of(int rows, std::integer_sequence<int, Rows...>) {
    static constexpr ComputePairs of[] = {&by_instruction<Rows + 1, Vectors>...};
    return of[rows - 1];
}
#endif

}  // namespace

ComputePairs pair_tile([[maybe_unused]] Unit unit, [[maybe_unused]] int rows,
                       [[maybe_unused]] Index columns) {
#if BP_BF16
    constexpr auto heights = std::make_integer_sequence<int, kTileRows>{};
    if (unit == Unit::vdpbf16ps)
        return columns > width<float> ? by_instruction_of<2>(rows, heights)
                                      : by_instruction_of<1>(rows, heights);
#endif
    return &emulated;
}

}  // namespace backpass::BACKPASS_ISA
