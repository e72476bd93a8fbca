// The thread pool. Workers spin for a moment between two pieces of work, then sleep. A forked child starts with none.
#include "pool.hpp"

#include "caches.hpp"
#include "isa.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>
#ifndef _WIN32
#include <pthread.h>
#endif
#ifdef __linux__
#include <sched.h>
#include <unistd.h>
#endif

#ifdef _WIN32
#define BACKPASS_EXPORT __declspec(dllexport)
#else
#define BACKPASS_EXPORT __attribute__((visibility("default")))
#endif

namespace backpass {
namespace {

// The gate counts workers in 16 bits.
constexpr int kMostWorkers = 0xfff0;
// A worker spins about 50 µs before it sleeps: longer than the serial stretches inside a step.
constexpr int kSpins = 4000;
// Least work per thread, in seconds: below it, cache traffic between cores costs more than another thread saves.
constexpr double kWorthSeconds = 6e-6;
// The speed of one core, roughly.
constexpr double kFlopsPerSecond = 5e10, kBytesPerSecond = 2e10;

// The CPU that this thread runs on; -1 where the system cannot tell.
int current_cpu() {
#ifdef __linux__
    return sched_getcpu();
#else
    return -1;
#endif
}

// Move a thread to another CPU of the process. Linux wakes a worker on the CPU where it last ran. The worker stays there for
// milliseconds, even if the caller computes on that CPU and another CPU is idle: two threads then take longer than one. Seen in
// virtual machines, whose CPUs seem to share no cache.
void leave_cpu([[maybe_unused]] std::thread::native_handle_type thread, [[maybe_unused]] int cpu) {
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(getpid(), sizeof allowed, &allowed)) return;
    if (cpu >= 0) CPU_CLR(cpu, &allowed);
    if (CPU_COUNT(&allowed) > 0) pthread_setaffinity_np(thread, sizeof allowed, &allowed);
#endif
}

void* new_scratch() { return ::operator new(kScratchBytes, std::align_val_t(64)); }

// The scratch memory of the calling thread; freed when the thread ends.
void* scratch_of_caller() {
    struct Free {
        void operator()(void* data) const { ::operator delete(data, std::align_val_t(64)); }
    };
    thread_local const std::unique_ptr<void, Free> scratch(new_scratch());
    return scratch.get();
}

class Pool {
  public:
    // Held by the session that uses the pool.
    std::mutex busy;

    bool run(const Work& work, int threads, Interrupt* interrupt) {
        hire(threads - 1);
        const int helpers = std::min(threads - 1, int(workers_.size()));
        work_ = work;
        threads_ = helpers + 1;
        cpu_ = current_cpu();
        next_.store(0, std::memory_order_relaxed);
        const std::uint64_t round = (gate_.load(std::memory_order_relaxed) & ~kLow) + kRound;
        gate_.store(round | std::uint64_t(helpers) << kHelpersAt | kOpen, std::memory_order_seq_cst);
        for (int id = 0; id < helpers; ++id) workers_[std::size_t(id)]->wake();
        take_part(scratch_of_caller(), interrupt);
        // Workers that have not entered by now stay out, so that the caller never waits for a sleeper.
        gate_.fetch_and(~kOpen, std::memory_order_acq_rel);
        while (gate_.load(std::memory_order_acquire) & kInside) pause();
        return !(interrupt && interrupt->requested());
    }

    // Workers live as long as the process.
    ~Pool() = delete;

  private:
    // The gate is one word, from its high bits: number of the round | workers wanted | open | workers inside.
    static constexpr std::uint64_t kInside = 0xffff, kOpen = 0x10000, kLow = 0x1ffffffff, kRound = kLow + 1;
    static constexpr int kHelpersAt = 17;

    struct Worker {
        alignas(64) std::atomic<int> asleep{0};
        std::thread thread;

        void wake() {
            if (!asleep.load(std::memory_order_seq_cst)) return;
            asleep.store(0, std::memory_order_seq_cst);
            asleep.notify_one();
        }
    };

    // Start workers until there are `wanted`, or fewer if memory or a limit of the system runs out. Results stay the same.
    void hire(int wanted) {
        while (int(workers_.size()) < wanted && int(workers_.size()) < most_) {
            void* scratch = nullptr;
            try {
                scratch = new_scratch();
                workers_.push_back(std::make_unique<Worker>());
                Worker* const worker = workers_.back().get();
                worker->thread = std::thread(
                    [this, worker, id = int(workers_.size()) - 1, scratch] { serve(*worker, id, scratch); });
                leave_cpu(worker->thread.native_handle(), current_cpu());
            } catch (const std::exception&) {  // bad_alloc, system_error
                ::operator delete(scratch, std::align_val_t(64));
                if (!workers_.empty() && !workers_.back()->thread.joinable()) workers_.pop_back();
                most_ = int(workers_.size());
            }
        }
    }

    void take_part(void* scratch, Interrupt* interrupt = nullptr) {
        const std::int64_t most = std::min(work_.together, work_.glance);
        std::int64_t task = next_.load(std::memory_order_relaxed);
        while (task < work_.tasks) {
            const std::int64_t share = std::min(most, (work_.tasks - task) / threads_);
            const std::int64_t end = task + std::max(std::int64_t{1}, share);
            if (!next_.compare_exchange_weak(task, end, std::memory_order_relaxed)) continue;
            work_.call(work_.context, Range{task, end}, Scratch{scratch, &caches()});
            if (interrupt && interrupt->requested()) next_.store(work_.tasks, std::memory_order_relaxed);
            task = next_.load(std::memory_order_relaxed);
        }
    }

    // Is this worker wanted in a round that it has not seen?
    static bool calls(std::uint64_t gate, int id, std::uint64_t seen) {
        return (gate & kOpen) && id < int(gate >> kHelpersAt & kInside) && gate / kRound != seen;
    }

    bool enter(int id, std::uint64_t& seen) {
        std::uint64_t gate = gate_.load(std::memory_order_acquire);
        while (calls(gate, id, seen))
            if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) {
                seen = gate / kRound;
                return true;
            }
        return false;
    }

    void serve(Worker& me, int id, void* scratch) {
        std::uint64_t seen = 0;
        for (;;) {
            for (int spin = 0; spin < kSpins; ++spin) {
                if (enter(id, seen)) {
                    if (cpu_ >= 0 && cpu_ == current_cpu()) leave_cpu(me.thread.native_handle(), cpu_);
                    take_part(scratch);
                    gate_.fetch_sub(1, std::memory_order_acq_rel);
                    spin = 0;
                }
                pause();
            }
            me.asleep.store(1, std::memory_order_seq_cst);
            if (!calls(gate_.load(std::memory_order_seq_cst), id, seen)) me.asleep.wait(1);
            me.asleep.store(0, std::memory_order_relaxed);
        }
    }

    alignas(64) std::atomic<std::uint64_t> gate_{0};
    alignas(64) std::atomic<std::int64_t> next_{0};
    alignas(64) Work work_{};
    int threads_ = 1;  // that take part
    int cpu_ = -1;     // where the caller computes
    std::vector<std::unique_ptr<Worker>> workers_;
    int most_ = kMostWorkers;  // lowered when a worker could not be started
};

std::atomic<int> num_threads{1};
// Never freed: a worker may outlive the module, and a forked child must leave its parent's pool alone.
Pool* pool = nullptr;

void make_pool() { pool = new Pool; }

Pool& the_pool() {
    static const bool once = [] {
        make_pool();
#ifndef _WIN32
        // A forked child has no workers. Its new pool starts some when it needs them.
        pthread_atfork(nullptr, nullptr, make_pool);
#endif
        return true;
    }();
    (void)once;
    return *pool;
}

}  // namespace

int get_num_threads() { return num_threads.load(); }
void set_num_threads(int threads) { num_threads.store(threads < 1 ? 1 : threads); }

// threadpoolctl finds these functions in the loaded module and calls them.
extern "C" {
BACKPASS_EXPORT int backpass_get_num_threads() { return get_num_threads(); }
BACKPASS_EXPORT void backpass_set_num_threads(int threads) { set_num_threads(threads); }
}

double estimated_seconds(double flops, double bytes) {
    return flops / kFlopsPerSecond > bytes / kBytesPerSecond ? flops / kFlopsPerSecond
                                                             : bytes / kBytesPerSecond;
}

std::int64_t tasks_of_a_glance(double seconds, std::int64_t tasks) {
    return seconds <= kGlance ? tasks
                              : std::max(std::int64_t{1}, std::int64_t(double(tasks) * kGlance / seconds));
}

int useful_threads(double flops, double bytes, std::int64_t tasks) {
    const double most = std::min(estimated_seconds(flops, bytes) / kWorthSeconds, double(kMostWorkers));
    return int(std::max(std::int64_t{1}, std::min(tasks, std::int64_t(most))));
}

Session::Session(int threads)
    : owned_(threads > 1 ? std::unique_lock(the_pool().busy, std::try_to_lock)
                         : std::unique_lock<std::mutex>()),
      threads_(owned_ ? threads : 1),
      scratch_(scratch_of_caller()) {}

bool Session::run(const Work& work, int threads, Interrupt* interrupt) {
    threads = std::min(threads, threads_);
    if (work.glance >= work.tasks) interrupt = nullptr;
    if (threads > 1) return pool->run(work, threads, interrupt);
    if (!interrupt) {
        work.call(work.context, Range{0, work.tasks}, Scratch{scratch_, &caches()});
        return true;
    }
    for (std::int64_t task = 0; task < work.tasks && !interrupt->requested(); task += work.glance) {
        const std::int64_t end = std::min(task + work.glance, work.tasks);
        work.call(work.context, Range{task, end}, Scratch{scratch_, &caches()});
    }
    return !interrupt->requested();
}

bool Interrupt::requested() {
    if (stop_ || !ask_) return stop_;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(50)) return false;
    last_ = now;
    return stop_ = ask_();
}

}  // namespace backpass
