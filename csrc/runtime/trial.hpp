// Do threads pay for a program? Both ways are tried, because the cost model knows the ops but not the machine: two CPUs may
// share one core, or another guest may take half of the time. Results have the same bits either way, so the clock may decide.
#pragma once
#include <algorithm>

namespace backpass {

class Trial {
  public:
    // seconds: estimate for one step. Long steps are few, and not worth a trial. share_a_core: a hint that threads hardly ever pay.
    explicit Trial(double seconds, bool share_a_core = false)
        : wanted_(seconds < kLongSeconds), rest_(share_a_core ? kLongRest : kRest) {}

    bool wanted() const { return wanted_; }

    // Should the next step use threads?
    bool parallel() const { return block_ < kBlocks ? block_ % 2 == 0 : parallel_pays_; }

    // Report the seconds of a step.
    void done(double seconds) {
        spent_ += seconds;
        if (block_ == kBlocks) {
            // Threads that lose by more are tried less often: what a trial costs stays under a fortieth.
            const double lost = parallel_pays_ ? 1 : std::max(1.0, best_[0] / best_[1] - 1);
            if (spent_ > rest_ * lost * trial_) *this = Trial(wanted_, rest_, parallel_pays_);
            return;
        }
        trial_ += seconds;
        if (settling_) {
            settling_ = spent_ <= kSettleSeconds;
            if (seconds < 5 * kSettleSeconds) {
                if (!settling_) spent_ = 0;
                return;
            }
            spent_ = seconds;  // a step as long as this counts
        }
        ++steps_;
        if (spent_ < kBlockSeconds) return;
        best_[block_ % 2] = std::min(best_[block_ % 2], spent_ / steps_);
        spent_ = steps_ = 0;
        settling_ = true;
        ++block_;
        // Noise can only make threads look slow, never fast, so one clear win ends the trial.
        if (block_ % 2 == 0 && best_[0] < kClearly * best_[1]) block_ = kBlocks;
        if (block_ == kBlocks) parallel_pays_ = best_[0] < best_[1];
    }

  private:
    static constexpr double kBlockSeconds = 3e-4;
    // The first steps of a block do not count: workers wake up, or spin until they sleep. Where two CPUs share one core, that
    // slows serial steps 1.7 times.
    static constexpr double kSettleSeconds = 2e-4;
    static constexpr double kLongSeconds = 0.05;
    // Pause before the next trial, as a multiple of the length of the last one. Long where all CPUs share one core.
    static constexpr double kRest = 20, kLongRest = 80;
    // parallel, serial, parallel, ...: the best of three each.
    static constexpr int kBlocks = 6;
    static constexpr double kClearly = 0.8;

    Trial(bool wanted, double rest, bool parallel_pays)
        : wanted_(wanted), rest_(rest), parallel_pays_(parallel_pays) {}

    bool wanted_;
    double rest_;
    bool parallel_pays_ = true;
    bool settling_ = true;  // in the first steps of a block
    int block_ = 0, steps_ = 0;
    double spent_ = 0, trial_ = 0;
    double best_[2] = {1e300, 1e300};  // seconds of a step
};

}  // namespace backpass
