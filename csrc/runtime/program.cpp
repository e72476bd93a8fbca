// The interpreter. An instruction is a function pointer, its op and the number of its tasks.
#include "program.hpp"

#include <algorithm>
#include <stdexcept>

#include "cores.hpp"
#include "isa.hpp"

namespace backpass {
namespace {

// Seconds. A shorter run is over before a user would notice: it is never stopped.
constexpr double kPatience = 0.1;
// Is one of the op's outputs the word `halt`?
bool writes(AnyOp& op, const std::int64_t* halt) {
    bool found = false;
    const auto look = [&]<class Field>(const char*, Field& field, const auto&...) {
        if constexpr (std::is_same_v<Field, Tensor<std::int64_t>>) found |= halt && field.data == halt;
    };
    op.visit([&](auto& o) { o.fields(look); });
    return found;
}

// Tell an op whose products have a precision what computes them.
void set_unit(AnyOp& op, const std::string& unit, const std::string& isa) {
    op.visit([&](auto& o) {
        if constexpr (requires { o.rounding; })
            if (o.rounding.precision != Precision::float32)
                o.rounding.unit = choose_unit(unit, isa, o.rounding.precision);
    });
}

}  // namespace

Program::Program(std::vector<AnyOp> ops, const std::string& isa, const std::string& unit,
                 const std::int64_t* halt)
    : halt_(halt), guard_(ops.size()) {
    const Kernels& table = kernels(isa);
    instructions_.reserve(ops.size());
    for (AnyOp& op : ops) {
        if (guard_ == ops.size() && writes(op, halt)) guard_ = instructions_.size();
        set_unit(op, unit, isa);
        const Instruction& made = instructions_.emplace_back(instruction_of(op, table));
        seconds_ += estimated_seconds(made.cost.flops, made.cost.bytes);
        most_threads_ = std::max(most_threads_, made.threads);
    }
    chains_ = chains_of(instructions_, table);
    trial_ = Trial(seconds_, cpus_share_a_core());
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
            session.run(instruction.work(), instruction.threads, nullptr);
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
        const bool alone = !parallel || std::min(threads, most_threads_) == 1;
        auto next = chains_.begin();
        for (std::size_t i = 0; i < instructions_.size(); ++i) {
            const Instruction& instruction = instructions_[i];
            const bool asks = !patient && i < guard_;
            if (asks && (i == 0 || glances) && interrupt.requested()) return step;
            Interrupt* const may_stop = asks ? &interrupt : nullptr;  // of what takes longer than a glance
            const bool begins = next != chains_.end() && next->first == i;
            const Chain* const chain = begins ? &*next++ : nullptr;
            if (chain && (alone || chain->parallel)) {
                if (!session.run(chain->work(), parallel ? chain->threads : 1, may_stop)) return step;
                i += chain->count - 1;
                continue;
            }
            if (!session.run(instruction.work(), parallel ? instruction.threads : 1, may_stop)) return step;
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
