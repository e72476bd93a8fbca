// Do the CPUs of this process share one core? A hint for the trial of threads (trial.hpp): hypervisors do not always tell.
#pragma once
#include <string>
#include <vector>

namespace backpass {

// More than one CPU, and all are hyperthreads of one core, as far as the system tells. Asked once.
bool cpus_share_a_core();

// The same of some CPUs, by a folder like /sys/devices/system/cpu.
bool share_a_core(const std::string& folder, const std::vector<int>& cpus);

}  // namespace backpass
