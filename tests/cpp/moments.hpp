// Mean and variance of some numbers in double, and the tolerance for what a normalisation makes of them.
#pragma once
#include <cstdint>

namespace backpass {

struct Moments {
    double mean = 0, var = 0;

    template <class Get>
    Moments(std::int64_t n, Get get) {
        for (std::int64_t i = 0; i < n; ++i) mean += get(i) / double(n);
        for (std::int64_t i = 0; i < n; ++i) var += (get(i) - mean) * (get(i) - mean) / double(n);
    }
};

inline constexpr double kEps = 1e-3;  // large: a variance near 0 would magnify every rounding
inline constexpr double kUlps = 200;  // of numbers up to about 2 / √kEps

}  // namespace backpass
