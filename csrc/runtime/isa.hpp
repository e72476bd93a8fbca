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

// The unit that `name` asks for at a precision below float32: "" is BACKPASS_UNIT of the environment, or else the fastest of this
// instruction set on this CPU, float32 where no other is faster. Throws std::invalid_argument.
Unit choose_unit(const std::string& name, const std::string& isa, Precision precision);

// Tell the CPU that this thread waits in a loop.
void pause();

// The kernels of an instruction set that choose_isa() returned.
const Kernels& kernels(const std::string& isa);

}  // namespace backpass
