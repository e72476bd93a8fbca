#include "epochs.hpp"

#include <chrono>

namespace backpass {

std::int64_t run_epochs(const std::vector<Turn>& turns, std::int64_t epochs, double seconds, int threads) {
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
        for (const Turn& turn : turns)
            if (turn.program->run(turn.steps, threads, nullptr) < turn.steps) return epoch;
        if (std::chrono::duration<double>(Clock::now() - began).count() >= seconds) return epoch + 1;
    }
    return epochs;
}

}  // namespace backpass
