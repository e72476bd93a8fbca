// Sizes of caches: the CPU tells them on x86, elsewhere Linux does.
#include "caches.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#endif

namespace backpass {
namespace {

constexpr std::int64_t kKiB = 1 << 10, kMiB = 1 << 20;
// A larger L2 cache is one of several cores, or the word of a hypervisor.
constexpr std::int64_t kMostL2 = 2 * kMiB;

Caches sized(std::int64_t l1, std::int64_t ways, std::int64_t l2) {
    return {.l1 = l1, .way = ways > 0 ? l1 / ways : 0, .l2 = l2};
}

bool power_of_two(std::int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

// A machine without caches, or one whose hypervisor makes them up, is taken as a usual one.
bool likely(const Caches& found) {
    return found.l1 >= 8 * kKiB && found.l1 <= kMiB && found.way >= kKiB && power_of_two(found.way) &&
           found.l1 % found.way == 0 && found.l2 >= 64 * kKiB;
}

// A number of bytes: "48K", "2M" or "32768"; -1 if it is none.
std::int64_t bytes_in(const std::string& text) {
    const bool digits = !text.empty() && text.size() < 9 && text[0] >= '0' && text[0] <= '9';
    if (!digits) return -1;
    char* end = nullptr;
    const std::int64_t n = std::strtoll(text.c_str(), &end, 10);
    const std::string unit = end;
    return unit.empty() ? n : unit == "K" ? n * kKiB : unit == "M" ? n * kMiB : -1;
}

#if defined(__x86_64__) || defined(_M_X64)
// Leaf 4 of Intel and leaf 0x8000001D of AMD have one format; the other maker's CPUs leave theirs empty.
std::optional<Caches> caches_of_cpu(unsigned leaf) {
    Caches found = sized(0, 0, 0);
    for (unsigned index = 0; index < 8; ++index) {
        unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
        if (!__get_cpuid_count(leaf, index, &eax, &ebx, &ecx, &edx) || (eax & 31) == 0) break;
        const unsigned level = eax >> 5 & 7;
        const bool instructions = (eax & 31) == 2;
        const std::int64_t line = (ebx & 0xfff) + 1, partitions = (ebx >> 12 & 0x3ff) + 1,
                           ways = (ebx >> 22) + 1;
        const std::int64_t bytes = ways * partitions * line * (std::int64_t(ecx) + 1);
        if (level == 1 && !instructions) found = sized(bytes, ways, found.l2);
        if (level == 2 && !instructions) found.l2 = bytes;
    }
    return likely(found) ? std::optional(found) : std::nullopt;
}
std::optional<Caches> found_caches() {
    const auto intel = caches_of_cpu(4);
    return intel ? intel : caches_of_cpu(0x8000001d);
}
#else
std::optional<Caches> found_caches() { return caches_in("/sys/devices/system/cpu/cpu0/cache"); }
#endif

Caches choose_caches() {
    if (const char* forced = std::getenv("BACKPASS_CACHES"); forced && *forced) return caches_named(forced);
    Caches found = found_caches().value_or(kUsualCaches);
    found.l2 = std::min(found.l2, kMostL2);
    return found;
}

}  // namespace

const Caches& caches() {
    static const Caches chosen = choose_caches();
    return chosen;
}

Caches caches_named(const std::string& sizes) {
    std::istringstream parts(sizes);
    std::string l1, ways, l2;
    std::getline(parts, l1, ','), std::getline(parts, ways, ','), std::getline(parts, l2);
    const Caches named = sized(bytes_in(l1), bytes_in(ways), bytes_in(l2));
    if (likely(named)) return named;
    throw std::invalid_argument("BACKPASS_CACHES is '" + sizes +
                                "', expected the bytes of the L1 cache, its ways, the bytes of the L2 cache, "
                                "such as 32K,8,1M; a way of 1 KiB or more is a power of two");
}

std::optional<Caches> caches_in(const std::string& folder) {
    Caches found = sized(0, 0, 0);
    for (int index = 0; index < 8; ++index) {
        const auto read = [&](const char* name) {
            std::ifstream file(folder + "/index" + std::to_string(index) + "/" + name);
            std::string word;
            file >> word;
            return word;
        };
        const std::string level = read("level"), type = read("type");
        if (type.empty() || type == "Instruction") continue;
        const std::int64_t bytes = bytes_in(read("size"));
        if (level == "1") found = sized(bytes, bytes_in(read("ways_of_associativity")), found.l2);
        if (level == "2") found.l2 = bytes;
    }
    return likely(found) ? std::optional(found) : std::nullopt;
}

}  // namespace backpass
