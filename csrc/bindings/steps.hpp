// Reads the steps of an expression from their text, such as "t0 = mul a b; y = add t0 1.5" (ops/expression.py).
#pragma once
#include <algorithm>
#include <locale>
#include <optional>
#include <sstream>
#include <string>

#include "../ops/expression.hpp"

namespace backpass {

// The number of a register, or -1: `a` to `h`, `y z u v`, `t0` to `t15`.
inline int register_of(const std::string& word) {
    static const std::string inputs = "abcdefgh", outputs = "yzuv";
    if (word.size() == 1) {
        if (const auto i = inputs.find(word[0]); i != std::string::npos) return int(i);
        if (const auto i = outputs.find(word[0]); i != std::string::npos) return kFirstOutput + int(i);
    }
    for (int i = 0; i < kTemporaries; ++i)
        if (word[0] == 't' && word.compare(1, std::string::npos, std::to_string(i)) == 0)
            return kFirstTemporary + i;
    return -1;
}

inline std::optional<double> number_of(const std::string& word) {
    if (word == "inf" || word == "-inf" || word == "nan")
        return word == "nan" ? __builtin_nan("") : word == "inf" ? __builtin_inf() : -__builtin_inf();
    std::istringstream stream(word);
    stream.imbue(std::locale::classic());
    double value = 0;
    if (stream >> value && stream.peek() == std::istringstream::traits_type::eof()) return value;
    return std::nullopt;
}

// The number of the register of a constant, which is added to the others if it is new; -1 if there are too many.
inline int constant_register(Steps& steps, double value) {
    const auto same = [&](double other) { return __builtin_memcmp(&other, &value, sizeof value) == 0; };
    double* const end = steps.constant + steps.constants;
    const auto at = std::find_if(steps.constant, end, same) - steps.constant;
    if (at == kConstants) return -1;
    if (at == steps.constants) steps.constant[steps.constants++] = value;
    return kFirstConstant + int(at);
}

// Returns the step that cannot be read, or nothing.
inline std::string read_steps(const std::string& text, Steps& steps) {
    std::istringstream all(text);
    for (std::string line; std::getline(all, line, ';');) {
        std::istringstream words(line);
        std::string to, equals, function, word;
        if (steps.count == kSteps || !(words >> to >> equals >> function) || equals != "=") return line;
        Step& step = steps.step[steps.count++];
        const auto names = std::begin(kFunctionNames), end = std::end(kFunctionNames);
        const auto found = std::find(names, end, function);
        const int target = register_of(to);
        if (found == end || target < kFirstOutput) return line;
        step.function = Function(found - names);
        step.to = std::uint8_t(target);
        int operands = 0;
        while (words >> word) {
            int from = register_of(word);
            if (const auto number = from < 0 ? number_of(word) : std::nullopt)
                from = constant_register(steps, *number);
            if (from < 0 || operands == 3) return line;
            step.from[operands++] = std::uint8_t(from);
        }
        if (operands != operands_of(step.function)) return line;
    }
    steps.pair();
    return steps.count ? "" : " ";
}

}  // namespace backpass
