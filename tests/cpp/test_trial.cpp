// The choice between threads and none, fed with times instead of a clock.
#include <filesystem>
#include <fstream>
#include <initializer_list>

#include "check.hpp"
#include "runtime/cores.hpp"
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

// One thread's time over that of the trial's choices, in the long run.
double speed(Trial trial, double parallel, double serial) {
    constexpr int steps = 20000;
    double spent = 0;
    for (int i = 0; i < steps; ++i) {
        const double seconds = trial.parallel() ? parallel : serial;
        spent += seconds;
        trial.done(seconds);
    }
    return steps * serial / spent;
}

void check_threads_that_lose_cost_next_to_nothing() {
    for (const double step : {2e-5, 3e-4, kStep})
        for (const double slower : {1.02, 1.2, 1.7, 2.5, 4.0, 10.0}) {
            CHECK(speed(Trial(step), slower * step, step) > 0.97);
            CHECK(speed(Trial(step, true), slower * step, step) > 0.99);
        }
}

void check_the_hint_decides_nothing() {
    CHECK(speed(Trial(kStep, true), 0.6 * kStep, kStep) > 1.6);
    CHECK(speed(Trial(kStep, true), 0.9 * kStep, kStep) > 1.09);
}

void check_cpus_of_one_core() {
    const auto root = std::filesystem::temp_directory_path() / "backpass-test-cores";
    std::filesystem::remove_all(root);
    const auto write = [&](int cpu, const char* siblings) {
        const auto folder = root / ("cpu" + std::to_string(cpu)) / "topology";
        std::filesystem::create_directories(folder);
        std::ofstream(folder / "thread_siblings_list") << siblings << '\n';
    };
    CHECK(!backpass::share_a_core(root.string(), {0, 1}));  // nothing is known
    write(0, "0-1"), write(1, "0-1"), write(2, "2,3"), write(3, "2,3");
    CHECK(backpass::share_a_core(root.string(), {0, 1}));
    CHECK(backpass::share_a_core(root.string(), {2, 3}));
    CHECK(!backpass::share_a_core(root.string(), {1, 2}));
    CHECK(!backpass::share_a_core(root.string(), {0, 1, 2, 3}));
    CHECK(!backpass::share_a_core(root.string(), {0}));
    CHECK(!backpass::share_a_core(root.string(), {0, 7}));
    std::filesystem::remove_all(root);
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
    check_threads_that_lose_cost_next_to_nothing();
    check_the_hint_decides_nothing();
    check_cpus_of_one_core();
    check_long_steps_are_not_tried();
    return finish();
}
