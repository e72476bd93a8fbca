// Chains: neighbouring instructions whose rows do not depend on each other go together through one block of rows after another, so
// that what one writes is in the cache when the next one reads it. Rows of arrays may differ in number: those of one sample, such as
// its tokens, go together.
#pragma once
#include <cstddef>
#include <vector>

#include "instruction.hpp"

namespace backpass {

// Instructions [first, first + count) of a program, cut into blocks of rows.
struct Chain {
    std::size_t first, count;
    std::int64_t blocks;
    // The blocks may run side by side: no instruction adds up over them.
    bool parallel;
    int threads;
    std::int64_t glance;  // blocks after which it may be stopped
    // Those of the first block, those of the second, ...: with the rows of the block alone.
    std::vector<Instruction> links;

    BP_INLINE Work work() const { return {&call, this, blocks, 1, glance}; }

    // Runs blocks of the chain `context`.
    static void call(const void* context, Range blocks, Scratch scratch);
};

// The chains of a program, in its order.
std::vector<Chain> chains_of(const std::vector<Instruction>& instructions, const Kernels& table);

}  // namespace backpass
