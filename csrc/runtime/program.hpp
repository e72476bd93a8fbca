// A program: the instructions of a training step or an inference, and the loop that runs them.
#pragma once
#include <string>
#include <vector>

#include "chain.hpp"
#include "trial.hpp"

namespace backpass {

class Program {
  public:
    // Throws std::invalid_argument if an op's fields do not fit together. `unit`: see choose_unit(). `halt` may be null.
    Program(std::vector<AnyOp> ops, const std::string& isa, const std::string& unit,
            const std::int64_t* halt);

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
    std::vector<Chain> chains_;
    const std::int64_t* halt_;
    std::size_t guard_;  // the instruction that may set halt, or else the number of instructions
    double seconds_ = 0;
    int most_threads_ = 1;  // the most that any instruction can use
    Trial trial_{0};
};

}  // namespace backpass
