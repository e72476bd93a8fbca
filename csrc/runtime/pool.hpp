// The thread pool, and the policy on when to use it.
#pragma once
#include <chrono>
#include <cstdint>
#include <mutex>

#include "../ops/types.hpp"

namespace backpass {

// Tasks [0, tasks), done by call(context, range, scratch) in any order, by any thread.
struct Work {
    void (*call)(const void* context, Range range, Scratch scratch);
    const void* context;
    std::int64_t tasks;
    std::int64_t together;  // how many side by side share work, so that one thread does them in one call
    std::int64_t glance;    // the most in one call where the run may be stopped
};

// The default number of threads of a program; at least 1.
int get_num_threads();
void set_num_threads(int threads);

// Estimated seconds of one thread.
double estimated_seconds(double flops, double bytes);

// Seconds, as estimated for any instruction set: an emulated unit takes several times as long. A longer step may be stopped between its instructions, a longer instruction after so many of its tasks.
inline constexpr double kGlance = 0.02;
std::int64_t tasks_of_a_glance(double seconds, std::int64_t tasks);

// How many threads have enough to do in work of this size: at least 1. Depends on the op alone.
int useful_threads(double flops, double bytes, std::int64_t tasks);

// Should the run stop? The calling thread asks between two calls.
class Interrupt {
  public:
    // ask: null if nobody will request; then the clock is not read.
    explicit Interrupt(bool (*ask)()) : ask_(ask) {
        if (ask) last_ = std::chrono::steady_clock::now();
    }
    // Calls `ask` at most every 50 ms. Once true, stays true.
    bool requested();

  private:
    bool (*ask_)();
    bool stop_ = false;
    std::chrono::steady_clock::time_point last_{};
};

// One run of a program. A run with several threads takes the pool. While another Python thread's run holds the pool, all work
// is done in the caller's thread.
class Session {
  public:
    explicit Session(int threads);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // threads: how many this work can use. interrupt: null if the work must be finished.
    // Returns whether all tasks are done.
    bool run(const Work& work, int threads, Interrupt* interrupt);

  private:
    std::unique_lock<std::mutex> owned_;  // the pool, if this session holds it
    int threads_;
    void* scratch_;
};

}  // namespace backpass
