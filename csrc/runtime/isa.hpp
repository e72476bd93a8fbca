// Instruction sets: which ones this build has and this CPU runs, and which one is used.
#pragma once
#include <string>
#include <vector>

#include "../ops/ops.hpp"

namespace backpass {

// Instruction sets that this CPU runs, fastest first.
std::vector<std::string> available_isas();

// The instruction set that `name` asks for. "": BACKPASS_ISA of the environment, or else the fastest. Throws
// std::invalid_argument.
std::string choose_isa(const std::string& name);

// Tell the CPU that this thread waits in a loop.
void pause();

// The kernels of an instruction set that choose_isa() returned.
const Kernels& kernels(const std::string& isa);

}  // namespace backpass
