// The smallest test framework: CHECK counts, finish() reports and gives main its exit code.
#pragma once

#include <cstdio>

inline int checks_passed = 0, checks_failed = 0;

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (condition) {                                                       \
            ++checks_passed;                                                   \
        } else {                                                               \
            ++checks_failed;                                                   \
            std::printf("%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #condition); \
        }                                                                      \
    } while (0)

inline int finish() {
    std::printf("%d passed, %d failed\n", checks_passed, checks_failed);
    return checks_failed != 0;
}
