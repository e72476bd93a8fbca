// The interpreter. An instruction is a function pointer, its op and the number of its tasks.
#include "program.hpp"

#include <algorithm>
#include <stdexcept>

#include "isa.hpp"

namespace backpass {
namespace {

template <class Op>
void call(const void* context, Range range, Scratch scratch) {
    const auto& instruction = *static_cast<const Instruction*>(context);
    reinterpret_cast<Kernel<Op>>(instruction.kernel)(*std::get_if<Op>(&instruction.op), range, scratch);
}

// Seconds. A shorter run is over before a user would notice: it is never stopped.
constexpr double kPatience = 0.1;
// Seconds. A longer step is stopped between its instructions, a longer instruction between its tasks.
constexpr double kGlance = 0.01;

[[noreturn]] void refuse(const char* name, const char* what) {
    throw std::invalid_argument(std::string(name) + ": " + what);
}

// All of an instruction that depends on the type of its op.
template <class Op>
Compiled compile(const Op& op, const Kernels& table) {
    if (const char* what = op.invalid()) refuse(Op::name, what);
    const auto kernel = static_cast<const Entry<Op>&>(table).kernel;
    return {&call<Op>, reinterpret_cast<void (*)()>(kernel), op.tasks(), {Op::name, op.flops(), op.bytes()}};
}

// Is one of the op's outputs the word `halt`?
bool writes(AnyOp& op, const std::int64_t* halt) {
    bool found = false;
    const auto look = [&]<class Field>(const char*, Field& field, const auto&...) {
        if constexpr (std::is_same_v<Field, Tensor<std::int64_t>>) found |= halt && field.data == halt;
    };
    std::visit([&](auto& o) { o.fields(look); }, op);
    return found;
}

}  // namespace

Program::Program(std::vector<AnyOp> ops, const std::string& isa, const std::int64_t* halt)
    : halt_(halt), guard_(ops.size()) {
    const Kernels& table = kernels(isa);
    instructions_.reserve(ops.size());
    for (AnyOp& op : ops) {
        const Compiled compiled = std::visit([&](const auto& o) { return compile(o, table); }, op);
        const auto [name, flops, bytes] = compiled.cost;
        const double seconds = estimated_seconds(flops, bytes);
        const int threads = useful_threads(flops, bytes, compiled.tasks);
        if (guard_ == ops.size() && writes(op, halt)) guard_ = instructions_.size();
        instructions_.push_back({compiled, op, threads, seconds > kGlance});
        seconds_ += seconds;
        most_threads_ = std::max(most_threads_, threads);
    }
    trial_ = Trial(seconds_);
}

std::vector<Cost> Program::costs() const {
    std::vector<Cost> costs;
    for (const Instruction& instruction : instructions_) costs.push_back(instruction.cost);
    return costs;
}

std::vector<double> Program::profile(std::int64_t steps, int threads) {
    Session session(std::min(threads, most_threads_));
    std::vector<double> seconds(instructions_.size());
    for (std::int64_t step = 0; step < steps; ++step)
        for (std::size_t i = 0; i < instructions_.size(); ++i) {
            const Instruction& instruction = instructions_[i];
            const auto began = std::chrono::steady_clock::now();
            session.run(Work{instruction.call, &instruction, instruction.tasks}, instruction.threads,
                        nullptr);
            seconds[i] += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        }
    return seconds;
}

std::int64_t Program::run(std::int64_t steps, int threads, bool (*interrupted)()) {
    Session session(std::min(threads, most_threads_));
    Interrupt interrupt(interrupted);
    const bool patient = seconds_ * double(steps) < kPatience;
    const bool glances = seconds_ > kGlance;  // asks at every instruction instead of every step
    const bool trying = threads > 1 && most_threads_ > 1 && trial_.wanted();
    std::chrono::steady_clock::time_point began{};
    if (trying) began = std::chrono::steady_clock::now();
    for (std::int64_t step = 0; step < steps; ++step) {
        const bool parallel = !trying || trial_.parallel();
        for (std::size_t i = 0; i < instructions_.size(); ++i) {
            const Instruction& instruction = instructions_[i];
            const bool asks = !patient && i < guard_;
            if (asks && (i == 0 || glances) && interrupt.requested()) return step;
            Interrupt* const may_stop = asks && instruction.lengthy ? &interrupt : nullptr;
            if (!session.run(Work{instruction.call, &instruction, instruction.tasks},
                             parallel ? instruction.threads : 1, may_stop))
                return step;
            if (i == guard_ && *halt_) return step;
        }
        if (trying) {
            const auto now = std::chrono::steady_clock::now();
            trial_.done(std::chrono::duration<double>(now - began).count());
            began = now;
        }
    }
    return steps;
}

}  // namespace backpass
