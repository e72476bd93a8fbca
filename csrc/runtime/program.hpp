// A program: the instructions of a training step or an inference, and the loop that runs them.
#pragma once
#include <string>
#include <vector>

#include "../ops/ops.hpp"
#include "pool.hpp"
#include "trial.hpp"

namespace backpass {

// One op with its kernel, ready to run. The op's arrays belong to somebody else.
struct Instruction {
    AnyOp op;
    void (*call)(const void* context, Range range, Scratch scratch);
    void (*kernel)();
    std::int64_t tasks;
    int threads;   // that it can use
    bool lengthy;  // it may be interrupted between its tasks
};

// What one instruction does, by its own account.
struct Cost {
    const char* name;
    double flops, bytes;
};

class Program {
  public:
    // Throws std::invalid_argument if an op's fields do not fit together. `halt` may be null.
    Program(std::vector<AnyOp> ops, const std::string& isa, const std::int64_t* halt);

    // Runs the instructions `steps` times; stops within a step when *halt becomes nonzero, or when `interrupted` says so.
    // A step that has come to the instruction that may set halt is always finished: the weights are those of a whole step.
    // Returns the number of whole steps done.
    std::int64_t run(std::int64_t steps, int threads, bool (*interrupted)());

    // The same, with a clock around each instruction: the seconds that each took in all steps.
    std::vector<double> profile(std::int64_t steps, int threads);

    double seconds() const { return seconds_; }  // that a step takes, about
    std::vector<Cost> costs() const;

  private:
    std::vector<Instruction> instructions_;
    const std::int64_t* halt_;
    std::size_t guard_;  // the instruction that may set halt; without one, the end
    double seconds_ = 0;
    int most_threads_ = 1;  // that any instruction can use
    Trial trial_{0};
};

// What is wrong with an op's fields, with its name; empty if nothing is.
std::string invalid(const AnyOp& op);

}  // namespace backpass
