// Instruction sets. Compiled with baseline flags, because this code finds out what the CPU can do.
#include "isa.hpp"

#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#endif
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

#if defined(__x86_64__) || defined(_M_X64)
// Bits of CPUID, by leaf and register, and of XCR0: the registers that the operating system saves.
// __builtin_cpu_supports knows fewer features, and needs a library that Windows does not link.
struct Features {
    unsigned leaf1_ecx = 0, leaf7_ebx = 0, leaf7_edx = 0, leaf7_1_eax = 0, extended1_ecx = 0, xcr0 = 0;

    bool contain(const Features& wanted) const {
        return (leaf1_ecx & wanted.leaf1_ecx) == wanted.leaf1_ecx &&
               (leaf7_ebx & wanted.leaf7_ebx) == wanted.leaf7_ebx &&
               (leaf7_edx & wanted.leaf7_edx) == wanted.leaf7_edx &&
               (leaf7_1_eax & wanted.leaf7_1_eax) == wanted.leaf7_1_eax &&
               (extended1_ecx & wanted.extended1_ecx) == wanted.extended1_ecx &&
               (xcr0 & wanted.xcr0) == wanted.xcr0;
    }
};

constexpr unsigned bits(std::initializer_list<int> positions) {
    unsigned word = 0;
    for (const int position : positions) word |= 1u << position;
    return word;
}

constexpr int kOsxsave = 27;
// All that -march=x86-64-v3 may use beyond v2.
constexpr Features kV3{
    .leaf1_ecx = bits({12 /* FMA */, 22 /* MOVBE */, kOsxsave, 28 /* AVX */, 29 /* F16C */}),
    .leaf7_ebx = bits({3 /* BMI1 */, 5 /* AVX2 */, 8 /* BMI2 */}),
    .extended1_ecx = bits({5 /* LZCNT */}),
    .xcr0 = bits({1 /* XMM */, 2 /* YMM */}),
};
// All that -march=x86-64-v4 may use beyond v3.
constexpr Features kV4{
    .leaf7_ebx = bits({16 /* AVX512F */, 17 /* DQ */, 28 /* CD */, 30 /* BW */, 31 /* VL */}),
    .xcr0 = bits({5 /* masks */, 6 /* upper halves of ZMM0-15 */, 7 /* ZMM16-31 */}),
};
// Beyond v4: VDPBF16PS.
constexpr Features kBf16{.leaf7_1_eax = bits({5 /* AVX512_BF16 */})};
constexpr Features kAmx{.leaf7_edx = bits({22 /* AMX_BF16 */, 24 /* AMX_TILE */}),
                        .xcr0 = bits({17 /* TILECFG */, 18 /* TILEDATA */})};

Features features_of_cpu() {
    Features found;
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) found.leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) found.leaf7_ebx = ebx, found.leaf7_edx = edx;
    if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) found.leaf7_1_eax = eax;
    if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx)) found.extended1_ecx = ecx;
    if (found.leaf1_ecx & 1u << kOsxsave) {
        __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
        found.xcr0 = eax;
    }
    return found;
}

const Features& cpu_features() {
    static const Features cpu = features_of_cpu();
    return cpu;
}

bool runs(const std::string& isa) {
    const Features& cpu = cpu_features();
    if (isa == "avx2") return cpu.contain(kV3);
    if (isa == "avx512") return cpu.contain(kV3) && cpu.contain(kV4);
    return isa == "baseline";
}
bool has_vdpbf16ps(const std::string& isa) { return isa == "avx512" && cpu_features().contain(kBf16); }
// Linux gives tiles to a process that asks, for good: frames of signals grow by 8 KiB in all its threads. It refuses where one of them
// has too small a stack for signals. Other systems are not asked.
bool amx_is_permitted() {
#if defined(__linux__) && defined(SYS_arch_prctl)
    constexpr int kRequestPermission = 0x1023, kTileData = 18;
    static const bool permitted = !syscall(SYS_arch_prctl, kRequestPermission, kTileData);
    return permitted;
#else
    return false;
#endif
}
bool has_amx(const std::string& isa) {
    return has_vdpbf16ps(isa) && cpu_features().contain(kAmx) && amx_is_permitted();
}
// Twice as many products a cycle as FMA on AMD's cores, half as many on Intel's.
bool vdpbf16ps_is_fast() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx;
}
#else
bool runs(const std::string& isa) { return isa == "neon"; }
bool has_vdpbf16ps(const std::string&) { return false; }
bool has_amx(const std::string&) { return false; }
bool vdpbf16ps_is_fast() { return false; }
#endif
bool has(Unit unit, const std::string& isa) {
    return unit == Unit::vdpbf16ps ? has_vdpbf16ps(isa) : unit != Unit::amx || has_amx(isa);
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

Unit choose_unit(const std::string& name, const std::string& isa, Precision precision) {
    std::string wanted = name;
    if (const char* forced = std::getenv("BACKPASS_UNIT"); wanted.empty() && forced) wanted = forced;
    if (wanted.empty()) {
        if (has_amx(isa)) return Unit::amx;
        // Three and six products of twice the speed are slower than one.
        const bool pays = has_vdpbf16ps(isa) && vdpbf16ps_is_fast() && precision == Precision::bf16;
        return pays ? Unit::vdpbf16ps : Unit::float32;
    }
    std::string known;
    for (int unit = 0; unit < count_of(kUnitNames); ++unit)
        if (wanted == kUnitNames[unit] && has(Unit(unit), isa)) return Unit(unit);
    for (int unit = 0; unit < count_of(kUnitNames); ++unit)
        if (has(Unit(unit), isa)) known += (known.empty() ? "" : ", ") + std::string(kUnitNames[unit]);
    throw std::invalid_argument("BACKPASS_UNIT is '" + wanted + "', but " + isa +
                                " on this CPU has: " + known);
}

const Kernels& kernels(const std::string& isa) {
    for (const Row& row : kRows)
        if (isa == row.isa) return *row.table;
    throw std::invalid_argument("no kernels for '" + isa + "'");
}

}  // namespace backpass
