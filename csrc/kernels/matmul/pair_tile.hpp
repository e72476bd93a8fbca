// A tile of C from packed bfloat16: the interface of every unit that multiplies them.
#pragma once
#include "pairs.hpp"

namespace backpass::BACKPASS_ISA {

// Which part of A times which part of B. The smallest products come first, so that the sum is rounded where it is small.
struct PartProduct {
    int a, b;
};

struct PairTile {
    Operand<Pair> a{};        // part 0; the others lie kPlaneOfA apart
    const Pair* b = nullptr;  // a panel of part 0; the others lie kPlaneOfB apart
    Index steps = 0;          // pairs of k
    const PartProduct* products = nullptr;
    int count = 0;  // of them
    float* c = nullptr;
    Index ldc = 0;
    int rows = 0, columns = 0;  // at most kTileRows x kPanel
    bool first = true;          // C is the sum; else the sum is added to it
};

// The tile's sum is a chain over its products, each a chain of pairs from the first k to the last.
using ComputePairs = void (*)(const PairTile&);
ComputePairs pair_tile(Unit unit, int rows, Index columns);

}  // namespace backpass::BACKPASS_ISA
