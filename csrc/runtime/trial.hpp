// Do threads pay for a program? Both ways are tried, because the cost model knows the ops but not the machine: two CPUs may
// share one core, or another guest may take half of the time. Results have the same bits either way, so the clock may decide.
#pragma once
#include <algorithm>

namespace backpass {

class Trial {
  public:
    // seconds: that one step takes, about; few and long steps are not worth a trial.
    explicit Trial(double seconds) : wanted_(seconds < kLongSeconds) {}

    bool wanted() const { return wanted_; }

    // Whether the next step should use the threads that are there.
    bool parallel() const { return block_ < kBlocks ? block_ % 2 == 0 : parallel_pays_; }

    // A step has taken so long.
    void done(double seconds) {
        spent_ += seconds;
        if (block_ == kBlocks) {
            if (spent_ > kRest * trial_) *this = Trial(wanted_, parallel_pays_);
            return;
        }
        trial_ += seconds;
        if (settling_) {
            settling_ = spent_ <= kSettleSeconds;
            if (seconds < 5 * kSettleSeconds) {
                if (!settling_) spent_ = 0;
                return;
            }
            spent_ = seconds;  // so long a step counts
        }
        ++steps_;
        if (spent_ < kBlockSeconds) return;
        best_[block_ % 2] = std::min(best_[block_ % 2], spent_ / steps_);
        spent_ = steps_ = 0, settling_ = true;
        ++block_;
        // Threads cannot look fast by chance, so one pair may settle it; slow they can.
        if (block_ % 2 == 0 && best_[0] < kClearly * best_[1]) block_ = kBlocks;
        if (block_ == kBlocks) parallel_pays_ = best_[0] < best_[1];
    }

  private:
    static constexpr double kBlockSeconds = 3e-4;
    // A worker wakes up, or spins until it sleeps: where two CPUs behave like one core, that slows serial steps 1.7 times.
    static constexpr double kSettleSeconds = 2e-4;
    static constexpr double kLongSeconds = 0.05;
    static constexpr double kRest = 20;  // times as long as the trial took, until the next one
    static constexpr int kBlocks = 6;    // parallel, serial, parallel, ...: the best of three each
    static constexpr double kClearly = 0.8;

    Trial(bool wanted, bool parallel_pays) : wanted_(wanted), parallel_pays_(parallel_pays) {}

    bool wanted_;
    bool parallel_pays_ = true;
    bool settling_ = true;  // the first steps of a block do not count
    int block_ = 0, steps_ = 0;
    double spent_ = 0, trial_ = 0;
    double best_[2] = {1e300, 1e300};  // seconds of a step
};

}  // namespace backpass
