// Which CPUs are hyperthreads of one core, by what Linux writes into sysfs.
#include "cores.hpp"

#include <algorithm>
#include <fstream>
#ifdef __linux__
#include <sched.h>
#endif

namespace backpass {
namespace {

std::vector<int> cpus_of_process() {
    std::vector<int> cpus;
#ifdef __linux__
    cpu_set_t allowed;
    if (!sched_getaffinity(0, sizeof allowed, &allowed))
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
#endif
    return cpus;
}

}  // namespace

bool share_a_core(const std::string& folder, const std::vector<int>& cpus) {
    const auto siblings = [&](int cpu) {
        std::ifstream file(folder + "/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
        std::string list;
        file >> list;
        return list;
    };
    if (cpus.size() < 2) return false;
    const std::string first = siblings(cpus[0]);
    return !first.empty() &&
           std::all_of(cpus.begin(), cpus.end(), [&](int cpu) { return siblings(cpu) == first; });
}

bool cpus_share_a_core() {
    static const bool found = share_a_core("/sys/devices/system/cpu", cpus_of_process());
    return found;
}

}  // namespace backpass
