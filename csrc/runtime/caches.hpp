// The sizes of the caches of this CPU, by which kernels and chains choose their blocks.
#pragma once
#include <optional>
#include <string>

#include "../ops/types.hpp"

namespace backpass {

// What BACKPASS_CACHES of the environment says, or else the CPU, the system, kUsualCaches. Read once. Throws
// std::invalid_argument.
const Caches& caches();

// "32K,8,1M": bytes of the L1 cache, its ways, bytes of the L2 cache. Throws std::invalid_argument.
Caches caches_named(const std::string& sizes);

// What Linux tells of a CPU in a folder like /sys/devices/system/cpu/cpu0/cache, if it does.
std::optional<Caches> caches_in(const std::string& folder);

}  // namespace backpass
