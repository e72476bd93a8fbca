// Epochs: programs in turn, again and again, in one call.
#pragma once
#include "program.hpp"

namespace backpass {

// A program, and how many steps of it an epoch takes.
struct Turn {
    Program* program;
    std::int64_t steps;
};

// Runs the turns `epochs` times. Returns the number of whole epochs done: fewer where a program halts, or where `seconds` have
// passed at the end of one.
std::int64_t run_epochs(const std::vector<Turn>& turns, std::int64_t epochs, double seconds, int threads);

}  // namespace backpass
