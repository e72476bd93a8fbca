// Learning-rate schedules: each sets lr from the step counter.
#pragma once
#include "fields.hpp"

namespace backpass {

// Fields of every schedule.
struct Schedule : SmallOp {
    Tensor<const std::int64_t> step;
    Tensor<double> lr;
    double initial = 0;

    template <class Visit>
    void common(Visit&& field) {
        field("step", step);
        field("lr", lr);
        field("initial", initial);
    }
    const char* invalid() const {
        return has_size(step, 1) && has_size(lr, 1) ? nullptr : "step and lr must be (1,)";
    }
};

struct StepSchedule : Schedule {
    static constexpr const char* name = "step_schedule";
    std::int64_t every = 1;
    double factor = 1;

    template <class Visit>
    void fields(Visit&& field) {
        common(field);
        field("every", every);
        field("factor", factor);
    }
    const char* invalid() const { return every < 1 ? "every must be at least 1" : Schedule::invalid(); }
};

struct ExponentialSchedule : StepSchedule {
    static constexpr const char* name = "exponential_schedule";
};

struct CosineSchedule : Schedule {
    static constexpr const char* name = "cosine_schedule";
    std::int64_t warmup_steps = 0, total_steps = 1;
    double end = 0;

    template <class Visit>
    void fields(Visit&& field) {
        common(field);
        field("warmup_steps", warmup_steps);
        field("total_steps", total_steps);
        field("end", end);
    }
};

struct OneCycleSchedule : Schedule {
    static constexpr const char* name = "one_cycle_schedule";
    std::int64_t total_steps = 1;

    template <class Visit>
    void fields(Visit&& field) {
        common(field);
        field("total_steps", total_steps);
    }
};

struct PiecewiseSchedule : Schedule {
    static constexpr const char* name = "piecewise_schedule";
    Tensor<const std::int64_t> milestones;
    Tensor<const double> factors;

    template <class Visit>
    void fields(Visit&& field) {
        common(field);
        field("milestones", milestones);
        field("factors", factors);
    }
    const char* invalid() const {
        return same_size(milestones, factors) ? Schedule::invalid()
                                              : "milestones and factors must have one size";
    }
};

using ScheduleOps =
    OpList<StepSchedule, ExponentialSchedule, CosineSchedule, OneCycleSchedule, PiecewiseSchedule>;

}  // namespace backpass
