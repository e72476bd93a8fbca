// A program: the instructions of a training step or an inference, and the loop that runs them.
#pragma once
#include <string>
#include <vector>

#include "../ops/ops.hpp"
#include "pool.hpp"
#include "trial.hpp"

namespace backpass {

// An op with its kernel, ready to run. The caller owns the op's arrays.
struct Instruction {
    AnyOp op;
    void (*call)(const void* context, Range range, Scratch scratch);
    void (*kernel)();
    std::int64_t tasks;
    int threads;   // how many it can use
    bool lengthy;  // may be interrupted between its tasks
};

// The cost of an instruction, as its op states it.
struct Cost {
    const char* name;
    double flops, bytes;
};

class Program {
  public:
    // Throws std::invalid_argument if an op's fields do not fit together. `halt` may be null.
    Program(std::vector<AnyOp> ops, const std::string& isa, const std::int64_t* halt);

    // Runs the instructions `steps` times. Stops within a step when *halt becomes nonzero or `interrupted` returns true. A step
    // that has reached the instruction that may set halt is finished, so that the weights are those of a whole step. Returns
    // the number of whole steps done.
    std::int64_t run(std::int64_t steps, int threads, bool (*interrupted)());

    // Runs all instructions `steps` times with a clock around each. Returns the seconds that each took in all steps.
    std::vector<double> profile(std::int64_t steps, int threads);

    // Estimated seconds of a step.
    double seconds() const { return seconds_; }
    std::vector<Cost> costs() const;

  private:
    std::vector<Instruction> instructions_;
    const std::int64_t* halt_;
    std::size_t guard_;  // the instruction that may set halt, or else the number of instructions
    double seconds_ = 0;
    int most_threads_ = 1;  // the most that any instruction can use
    Trial trial_{0};
};

// What is wrong with an op's fields, after the op's name; empty if all is right.
std::string invalid(const AnyOp& op);

}  // namespace backpass
