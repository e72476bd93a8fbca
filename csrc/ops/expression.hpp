// Expressions: a few element-wise steps in one pass over memory.
#pragma once
#include <initializer_list>
#include <string_view>

#include "fields.hpp"

namespace backpass {

// Registers are numbered: the inputs a to h, the outputs y z u v, t0 to t15, the constants.
inline constexpr int kInputs = 8, kOutputs = 4, kTemporaries = 16, kConstants = 16, kSteps = 32;
inline constexpr int kFirstOutput = kInputs, kFirstTemporary = kFirstOutput + kOutputs;
inline constexpr int kFirstConstant = kFirstTemporary + kTemporaries,
                     kRegisterCount = kFirstConstant + kConstants;

struct Step {
    Function function = Function::copy;
    std::uint8_t to = kFirstOutput;
    std::uint8_t from[4] = {};
    // A pair of steps in one: `then` of the result, as operand `at`, and of the operands that are left. Alone: copy.
    Function then = Function::copy;
    std::uint8_t at = 0;

    bool alone() const { return then == Function::copy; }
    BP_INLINE int operands() const { return operands_of(function) + operands_of(then) - 1; }
};

// The steps of an expression, read from a text such as "t0 = mul a b; y = add t0 1.5".
struct Steps {
    int count = 0, constants = 0;
    Step step[kSteps];
    double constant[kConstants] = {};

    // Every register exists, also of operands that a function lacks, and is written before it is read, unless it is an input.
    bool valid() const {
        std::uint64_t known = (1u << kInputs) - 1;
        if (count < 0 || count > kSteps || constants < 0 || constants > kConstants) return false;
        for (int i = 0; i < constants; ++i) known |= std::uint64_t(1) << (kFirstConstant + i);
        for (int i = 0; i < count; ++i) {
            for (const Function function : {step[i].function, step[i].then})
                if (int(function) < 0 || int(function) >= count_of(kFunctionNames)) return false;
            if (!step[i].alone() && !is_pair(step[i].function, step[i].then, step[i].at)) return false;
            for (int k = 0; k < 4; ++k) {
                const int from = step[i].from[k];
                if (from >= kRegisterCount) return false;
                if (k < step[i].operands() && !(known >> from & 1)) return false;
            }
            if (step[i].to < kFirstOutput || step[i].to >= kFirstConstant) return false;
            known |= std::uint64_t(1) << step[i].to;
        }
        return true;
    }

    // Makes pairs of steps where nobody else reads what the first one gives: it stays in registers then. Results keep their bits.
    void pair() {
        for (int s = 1; s < count; ++s)
            for (int k = 0; step[s].alone() && k < operands_of(step[s].function); ++k) {
                const int first = maker(s, step[s].from[k]);
                const int at = step[s].function == Function::add || step[s].function == Function::mul ? 0 : k;
                if (first < 0 || !step[first].alone() ||
                    !is_pair(step[first].function, step[s].function, at) || !is_for(first, s))
                    continue;
                Step both = step[first];
                both.to = step[s].to, both.then = step[s].function, both.at = std::uint8_t(at);
                for (int other = 0, left = 2; other < operands_of(step[s].function); ++other)
                    if (other != k) both.from[left++] = step[s].from[other];
                step[s] = both;
                for (int i = first; i + 1 < count; ++i) step[i] = step[i + 1];
                --count, --s;
                break;
            }
    }

  private:
    bool reads(int s, int reg) const {
        bool found = false;
        for (int k = 0; k < step[s].operands(); ++k) found |= step[s].from[k] == reg;
        return found;
    }
    // The step that gives what step s reads in a register; -1 for an input or a constant.
    int maker(int s, int reg) const {
        while (--s >= 0 && step[s].to != reg) {}
        return s;
    }
    // Whether one operand of step s alone needs the result of step `first`, and may have it as late as that.
    bool is_for(int first, int s) const {
        const int reg = step[first].to;
        for (int i = first + 1; i < s; ++i)
            if (reads(i, reg) || reads(first, step[i].to)) return false;
        int uses = 0;
        for (int k = 0; k < step[s].operands(); ++k) uses += step[s].from[k] == reg;
        bool lasts = step[s].to != reg;
        for (int i = s + 1; lasts && i < count; ++i) {
            if (reads(i, reg)) return false;
            lasts = step[i].to != reg;
        }
        return uses == 1 && !(lasts && reg < kFirstTemporary);
    }
};

// y, z, u, v = what the steps compute element by element from a to h; an absent array reads as 0, and an output that no step
// writes stays as it is
template <class T>
struct Expression {
    static constexpr const char* name = "expression";
    Strided<const T> input[kInputs];
    Strided<T> output[kOutputs];
    Steps steps;

    template <class Visit>
    void fields(Visit&& field) {
        constexpr const char* inputs[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
        constexpr const char* outputs[] = {"y", "z", "u", "v"};
        for (int i = 0; i < kInputs; ++i) field(inputs[i], input[i], optional);
        field(outputs[0], output[0]);
        for (int i = 1; i < kOutputs; ++i) field(outputs[i], output[i], optional);
        field("steps", steps);
    }
    const char* invalid() const {
        for (const auto& array : input)
            if (!same_shape(array, output[0])) return "all arrays must have one shape";
        for (const auto& array : output)
            if (!same_shape(array, output[0])) return "all arrays must have one shape";
        return steps.valid() ? nullptr : "steps must read what is there and write y, z, u, v or t0 to t15";
    }
    double flops() const { return 4.0 * double(steps.count) * double(output[0].size()); }
    double bytes() const {
        int arrays = 0;
        for (const auto& array : input) arrays += bool(array);
        for (const auto& array : output) arrays += bool(array);
        return double(arrays) * sizeof(T) * double(output[0].size());
    }
    std::int64_t tasks() const { return pieces(output[0].size(), kElementPiece); }
    std::int64_t rows() const { return shared_rows(output[0]); }
    static constexpr bool is_of_rows(std::string_view) { return true; }
};

using ExpressionOps = BothDtypes<Expression>;

}  // namespace backpass
