// Ring 2: the interpreter. An instruction is a function pointer, its op and the number of its tasks.
#include "program.hpp"

#include <stdexcept>

#include "isa.hpp"

namespace backpass {
namespace {

template <class Op>
void call(const void* context, Range range, Scratch scratch) {
    const auto& instruction = *static_cast<const Instruction*>(context);
    reinterpret_cast<Kernel<Op>>(instruction.kernel)(*std::get_if<Op>(&instruction.op), range, scratch);
}

template <class Op>
Instruction compile(const Op& op, const Kernels& table) {
    const auto kernel = static_cast<const Entry<Op>&>(table).kernel;
    const std::int64_t tasks = op.tasks();
    return {op, &call<Op>, reinterpret_cast<void (*)()>(kernel), tasks, worth_threads(op.flops(), op.bytes(), tasks)};
}

}  // namespace

std::string invalid(const AnyOp& op) {
    return std::visit(
        [](const auto& o) {
            const char* what = o.invalid();
            return what ? std::string(o.name) + ": " + what : std::string();
        },
        op);
}

Program::Program(std::vector<AnyOp> ops, const std::string& isa, const std::int64_t* halt) : halt_(halt) {
    const Kernels& table = kernels(isa);
    for (const AnyOp& op : ops) {
        if (const std::string what = invalid(op); !what.empty()) throw std::invalid_argument(what);
        instructions_.push_back(std::visit([&](const auto& o) { return compile(o, table); }, op));
    }
}

std::int64_t Program::run(std::int64_t steps, int threads, bool (*interrupted)()) {
    Session session(threads);
    for (std::int64_t step = 0; step < steps; ++step) {
        for (const Instruction& instruction : instructions_) {
            session.run(Work{instruction.call, &instruction, instruction.tasks}, instruction.parallel);
            if (halt_ && *halt_) return step;
        }
        if (interrupted && interrupted()) return step + 1;
    }
    return steps;
}

}  // namespace backpass
