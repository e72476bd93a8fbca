// The typed half of an instruction: a function for each op that knows its struct.
#include "instruction.hpp"

namespace backpass {
namespace {

template <class Op>
void call(const void* context, Range range, Scratch scratch) {
    const auto& instruction = *static_cast<const Instruction*>(context);
    reinterpret_cast<Kernel<Op>>(instruction.kernel)(instruction.op.as<Op>(), range, scratch);
}

[[noreturn]] void refuse(const char* name, const char* what) {
    throw std::invalid_argument(std::string(name) + ": " + what);
}

// How many tasks of an op share work (pool.hpp).
template <class Op>
std::int64_t together(const Op& op) {
    if constexpr (requires { op.together(); }) return op.together();
    return 1;
}

// All of an instruction that depends on the type of its op.
template <class Op>
Compiled compile(const Op& op, const Kernels& table) {
    if (const char* what = op.invalid()) refuse(Op::name, what);
    const auto kernel = static_cast<const Entry<Op>&>(table).kernel;
    const Cost cost{Op::name, op.flops(), op.bytes()};
    return {&call<Op>, reinterpret_cast<void (*)()>(kernel), op.tasks(), together(op), cost};
}

}  // namespace

Instruction instruction_of(const AnyOp& op, const Kernels& table) {
    const Compiled compiled = op.visit([&](const auto& o) { return compile(o, table); });
    const auto [name, flops, bytes] = compiled.cost;
    const std::int64_t glance = tasks_of_a_glance(estimated_seconds(flops, bytes), compiled.tasks);
    return {compiled, op, useful_threads(flops, bytes, compiled.tasks), glance};
}

}  // namespace backpass
