// The choice between threads and none, fed with times instead of a clock.
#include "check.hpp"
#include "runtime/trial.hpp"

namespace {

using backpass::Trial;

constexpr double kStep = 2e-3;  // so that one step is one block

// `steps` steps that take `parallel` or `serial` seconds; the fraction of them that used threads.
double fraction_with_threads(Trial& trial, int steps, double parallel, double serial) {
    int with_threads = 0;
    for (int i = 0; i < steps; ++i) {
        with_threads += trial.parallel();
        trial.done(trial.parallel() ? parallel : serial);
    }
    return double(with_threads) / steps;
}

void check_the_faster_way_wins() {
    Trial slower(kStep), faster(kStep);
    CHECK(fraction_with_threads(slower, 1000, 2 * kStep, kStep) < 0.03);
    CHECK(fraction_with_threads(faster, 1000, kStep, 2 * kStep) > 0.97);
    Trial clearly(kStep);
    CHECK(fraction_with_threads(clearly, 20, kStep, 2 * kStep) == 0.95);  // one serial step says enough
}

void check_both_ways_are_tried_again() {
    Trial trial(kStep);
    CHECK(fraction_with_threads(trial, 200, kStep, 2 * kStep) > 0.95);
    CHECK(fraction_with_threads(trial, 2000, 4 * kStep, 2 * kStep) <
          0.2);  // somebody came and took the other CPU
    CHECK(fraction_with_threads(trial, 2000, kStep, 2 * kStep) > 0.8);  // and went
}

void check_one_slow_step_decides_nothing() {
    Trial trial(kStep);
    CHECK(trial.parallel());
    trial.done(50 * kStep);  // the workers were asleep
    CHECK(fraction_with_threads(trial, 1000, kStep, 2 * kStep) > 0.95);
}

void check_short_steps_are_timed_in_blocks() {
    Trial trial(1e-6);
    int with_threads = 0;
    while (trial.parallel()) trial.done(1e-6), ++with_threads;
    CHECK(with_threads > 100);
}

// Two CPUs of one core: a worker that still spins makes the first serial step slower than threads are.
void check_a_worker_that_falls_asleep_does_not_count() {
    Trial trial(3e-4);
    int with_threads = 0, serial = 0;
    for (int i = 0; i < 5000; ++i) {
        const bool parallel = trial.parallel();
        serial = parallel ? 0 : serial + 1;
        with_threads += parallel;
        trial.done(parallel ? 230e-6 : serial == 1 ? 260e-6 : 154e-6);
    }
    CHECK(with_threads < 250);
}

void check_long_steps_are_not_tried() {
    CHECK(Trial(1e-3).wanted());
    CHECK(!Trial(0.3).wanted());
}

}  // namespace

int main() {
    check_the_faster_way_wins();
    check_both_ways_are_tried_again();
    check_one_slow_step_decides_nothing();
    check_short_steps_are_timed_in_blocks();
    check_a_worker_that_falls_asleep_does_not_count();
    check_long_steps_are_not_tried();
    return finish();
}
