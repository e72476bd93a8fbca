// The units that multiply bfloat16: VDPBF16PS for each height and width of a tile, AMX, and their emulations.
#include "amx.hpp"
#include "pair_tile.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

void emulated(const PairTile& tile) {
    for (int m = 0; m < tile.rows; ++m)
        for (int n = 0; n < tile.columns; ++n) {
            float sum = 0;
            for (int i = 0; i < tile.count; ++i) {
                const Pair* a = tile.a.data + tile.products[i].a * tile.plane_a + m * tile.a.row;
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
        const Pair* a = tile.a.data + tile.products[i].a * tile.plane_a;
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

// Registers 0 to 3 are C, 4 and 5 A, 6 and 7 B. Down, Across: registers of C below and beside each other.
template <class Tiles, int Down, int Across>
void by_tiles(const PairTile& tile) {
    constexpr Index word = sizeof(Pair), half = kAmxWords, panel = 2 * half;
    Tiles tiles;
    tiles.template zero<0>();
    if constexpr (Across > 1) tiles.template zero<1>();
    if constexpr (Down > 1) tiles.template zero<2>();
    if constexpr (Down > 1 && Across > 1) tiles.template zero<3>();
    for (int i = 0; i < tile.count; ++i) {
        const Pair* a = tile.a.data + tile.products[i].a * tile.plane_a;
        const Pair* b = tile.b + tile.products[i].b * kPlaneOfB;
        const Index row = tile.a.row;
        for (Index k = 0; k < tile.steps; k += kAmxWords, a += kAmxWords, b += kAmxWords * panel) {
            tiles.template load<4>(a, row * word);
            tiles.template load<6>(b, panel * word);
            tiles.template add_product<0, 4, 6>();
            if constexpr (Across > 1) {
                tiles.template load<7>(b + half, panel * word);
                tiles.template add_product<1, 4, 7>();
            }
            if constexpr (Down > 1) {
                tiles.template load<5>(a + kAmxRows * row, row * word);
                tiles.template add_product<2, 5, 6>();
            }
            if constexpr (Down > 1 && Across > 1) tiles.template add_product<3, 5, 7>();
        }
    }
    const bool stores = tile.first && tile.rows == Down * kAmxRows && tile.columns == Across * half;
    alignas(64) float sums[Down * kAmxRows * panel];
    float* const to = stores ? tile.c : sums;
    const Index ld = stores ? tile.ldc : panel;
    tiles.template store<0>(to, ld * word);
    if constexpr (Across > 1) tiles.template store<1>(to + half, ld * word);
    if constexpr (Down > 1) tiles.template store<2>(to + kAmxRows * ld, ld * word);
    if constexpr (Down > 1 && Across > 1) tiles.template store<3>(to + kAmxRows * ld + half, ld * word);
    for (int m = 0; m < tile.rows && !stores; ++m)
        each_vector<float>(tile.columns, [&](Index n, int lanes) BP_INLINED {
            float* const c = tile.c + m * tile.ldc + n;
            const vec<float> sum = load_some(sums + m * panel + n, lanes);
            store_some(c, tile.first ? sum : load_some(c, lanes) + sum, lanes);
        });
}
template <class Tiles>
ComputePairs by_tiles_of(int rows, Index columns) {
    if (rows > kAmxRows) return columns > kAmxWords ? &by_tiles<Tiles, 2, 2> : &by_tiles<Tiles, 2, 1>;
    return columns > kAmxWords ? &by_tiles<Tiles, 1, 2> : &by_tiles<Tiles, 1, 1>;
}

}  // namespace

ComputePairs pair_tile(Unit unit, int rows, Index columns) {
#if BP_BF16
    constexpr auto heights = std::make_integer_sequence<int, kTileRows>{};
    if (unit == Unit::vdpbf16ps)
        return columns > width<float> ? by_instruction_of<2>(rows, heights)
                                      : by_instruction_of<1>(rows, heights);
#endif
#if BP_AMX
    if (unit == Unit::amx) return by_tiles_of<AmxTiles>(rows, columns);
#endif
    return unit == Unit::amx_emulation ? by_tiles_of<EmulatedTiles>(rows, columns) : &emulated;
}

}  // namespace backpass::BACKPASS_ISA
