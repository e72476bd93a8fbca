// The thread pool, and the only policy on when to use it.
#pragma once
#include <chrono>
#include <cstdint>
#include <mutex>

#include "../ops/types.hpp"

namespace backpass {

// Items [0, tasks) to be done by call(context, range, scratch), in any order, by any thread.
struct Work {
    void (*call)(const void* context, Range range, Scratch scratch);
    const void* context;
    std::int64_t tasks;
};

// The number of threads that programs use unless they say otherwise.
int get_num_threads();
void set_num_threads(int threads);  // at least 1

// About how long one thread works on an op.
double estimated_seconds(double flops, double bytes);

// How many threads work of this size can use, each of them with enough to do: at least 1. Depends on the op alone.
int useful_threads(double flops, double bytes, std::int64_t tasks);

// Asks now and then, between two tasks of the calling thread, whether the run should stop.
class Interrupt {
  public:
    explicit Interrupt(bool (*ask)()) : ask_(ask), last_(std::chrono::steady_clock::now()) {}
    bool requested();  // asks at most every 50 ms; once true, stays true

  private:
    bool (*ask_)();
    bool stop_ = false;
    std::chrono::steady_clock::time_point last_;
};

// One run of a program. With more than one thread it takes the pool, unless another Python thread's run has it: then
// everything runs in the caller's thread.
class Session {
  public:
    explicit Session(int threads);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // threads: that this work can use. interrupt: null where the work is too short to be stopped, or must not be. Returns
    // whether all of it is done.
    bool run(const Work& work, int threads, Interrupt* interrupt);

  private:
    std::unique_lock<std::mutex> owned_;  // of the pool
    int threads_;
    void* scratch_;
};

}  // namespace backpass
