// The instruction sets that this build has and this CPU runs, and which one is used.
#pragma once
#include <string>
#include <vector>

#include "../ops/ops.hpp"

namespace backpass {

// Names of the rows this CPU runs, fastest first.
std::vector<std::string> available_isas();

// The row that `name` asks for; "" means BACKPASS_ISA from the environment, else the fastest. Throws std::invalid_argument.
std::string choose_isa(const std::string& name);

// Tells the CPU that this thread is waiting in a loop.
void pause();

// The kernels of a row that choose_isa returned.
const Kernels& kernels(const std::string& isa);

}  // namespace backpass
