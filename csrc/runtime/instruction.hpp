// An instruction: an op with its kernel, ready to run.
#pragma once
#include <stdexcept>
#include <string>

#include "../ops/ops.hpp"
#include "pool.hpp"

namespace backpass {

// The cost of an instruction, as its op states it.
struct Cost {
    const char* name;
    double flops, bytes;
};

// How to run an op: its kernel behind a call that knows the type of the op.
struct Compiled {
    void (*call)(const void* context, Range range, Scratch scratch);
    void (*kernel)();
    std::int64_t tasks, together;
    Cost cost;
};

// An op, ready to run. The caller owns the op's arrays.
struct Instruction : Compiled {
    AnyOp op;
    int threads;          // how many it can use
    std::int64_t glance;  // tasks after which it may be stopped

    BP_INLINE Work work() const { return {call, this, tasks, together, glance}; }
};

// Throws std::invalid_argument if the op's fields do not fit together.
Instruction instruction_of(const AnyOp& op, const Kernels& table);

}  // namespace backpass
