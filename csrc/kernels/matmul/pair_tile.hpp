// A tile of C from packed bfloat16: the interface of every unit that multiplies them.
#pragma once
#include "pairs.hpp"

namespace backpass::BACKPASS_ISA {

// Which part of A times which part of B. The smallest products come first, so that the sum is rounded where it is small.
struct PartProduct {
    int a, b;
};

struct PairTile {
    Operand<Pair> a{};        // part 0; the others lie plane_a apart
    const Pair* b = nullptr;  // a panel of part 0; the others lie kPlaneOfB apart
    Index plane_a = 0;
    Index steps = 0;  // pairs of k
    const PartProduct* products = nullptr;
    int count = 0;  // of them
    float* c = nullptr;
    Index ldc = 0;
    int rows = 0, columns = 0;
    bool first = true;  // C is the sum; else the sum is added to it
};

// What a unit wants: the rows and columns of its largest tile, and pairs of k in these numbers.
struct TileSize {
    int rows, columns, steps;
};
constexpr bool is_amx(Unit unit) { return unit == Unit::amx || unit == Unit::amx_emulation; }
constexpr TileSize tile_size(Unit unit) {
    if (is_amx(unit)) return {2 * kAmxRows, 2 * kAmxWords, kAmxWords};
    return {kTileRows, kPanel<float>, 1};
}

// The tile's sum is a chain over its products: of vdpbf16ps each a chain of pairs from the first k to the last, of amx a chain of the sums
// of kAmxWords pairs.
using ComputePairs = void (*)(const PairTile&);
ComputePairs pair_tile(Unit unit, int rows, Index columns);

}  // namespace backpass::BACKPASS_ISA
