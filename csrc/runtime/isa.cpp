// Instruction sets. Compiled with baseline flags, because this code finds out what the CPU can do.
#include "isa.hpp"

#include <cstdlib>
#include <stdexcept>

#ifndef BACKPASS_ISA_ROWS
#error "BACKPASS_ISA_ROWS lists the rows of this build, slowest first: ROW(baseline) ROW(avx2) ..."
#endif

namespace backpass {

#define ROW(isa)                \
    namespace isa {             \
    extern const Kernels table; \
    }
BACKPASS_ISA_ROWS
#undef ROW

namespace {

bool runs(const std::string& isa) {
#if defined(__x86_64__) || defined(_M_X64)
    if (isa == "avx2")
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi2");
    if (isa == "avx512")
        return runs("avx2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return isa == "baseline" || isa == "neon";
}

struct Row {
    const char* isa;
    const Kernels* table;
};
const Row kRows[] = {
#define ROW(isa) {#isa, &isa::table},
    BACKPASS_ISA_ROWS
#undef ROW
};

}  // namespace

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

std::vector<std::string> available_isas() {
    std::vector<std::string> isas;
    for (const Row& row : kRows)
        if (runs(row.isa)) isas.insert(isas.begin(), row.isa);
    return isas;
}

std::string choose_isa(const std::string& name) {
    const auto isas = available_isas();
    std::string wanted = name;
    if (const char* forced = std::getenv("BACKPASS_ISA"); wanted.empty() && forced && *forced)
        wanted = forced;
    if (wanted.empty()) return isas.front();
    std::string known;
    for (const auto& isa : isas) {
        if (isa == wanted) return wanted;
        known += (known.empty() ? "" : ", ") + isa;
    }
    throw std::invalid_argument("BACKPASS_ISA is '" + wanted +
                                "', but this build on this CPU runs: " + known);
}

const Kernels& kernels(const std::string& isa) {
    for (const Row& row : kRows)
        if (isa == row.isa) return *row.table;
    throw std::invalid_argument("no kernels for '" + isa + "'");
}

}  // namespace backpass
