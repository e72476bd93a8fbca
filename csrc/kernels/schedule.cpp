// Learning-rate schedules.
#include <cmath>

#include "../ops/schedule.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// lr = initial · factor^⌊step / every⌋
void step_schedule(const StepSchedule& op, Range, Scratch) {
    op.lr.data[0] = op.initial * std::pow(op.factor, double(op.step.data[0] / op.every));
}

// lr = initial · factor^(step / every)
void exponential_schedule(const ExponentialSchedule& op, Range, Scratch) {
    op.lr.data[0] = op.initial * std::pow(op.factor, double(op.step.data[0]) / double(op.every));
}

// Half a period of a cosine, from `from` at t = 0 to `to` at t = 1.
double half_cosine(double from, double to, double t) {
    return to + 0.5 * (from - to) * (1 + std::cos(3.14159265358979323846 * t));
}

// Linear from 0 over the warm-up, then from initial to end along half a cosine
void cosine_schedule(const CosineSchedule& op, Range, Scratch) {
    const double step = double(op.step.data[0]), warmup = double(op.warmup_steps);
    const double rest = double(op.total_steps) - warmup, t = (step - warmup) / (rest < 1 ? 1 : rest);
    op.lr.data[0] =
        step < warmup ? op.initial * (step + 1) / warmup : half_cosine(op.initial, op.end, t < 1 ? t : 1);
}

// From initial/25 to initial over 30 % of the steps, then to initial/250,000, both along half a cosine
void one_cycle_schedule(const OneCycleSchedule& op, Range, Scratch) {
    const double last = double(op.total_steps) - 1, peak = 0.3 * double(op.total_steps) - 1;
    const double step = double(op.step.data[0]), at = step < last ? step : last, fall = last - peak;
    op.lr.data[0] =
        at <= peak ? half_cosine(op.initial / 25, op.initial, at / peak)
                   : half_cosine(op.initial, op.initial / 25e4, (at - peak) / (fall < 1e-9 ? 1e-9 : fall));
}

// lr = initial · Π factors[k] over the milestones[k] ≤ step
void piecewise_schedule(const PiecewiseSchedule& op, Range, Scratch) {
    double product = 1;
    for (std::int64_t k = 0; k < op.factors.size(); ++k)
        if (op.milestones.data[k] <= op.step.data[0]) product *= op.factors.data[k];
    op.lr.data[0] = op.initial * product;
}

}  // namespace

BACKPASS_KERNEL_UNTYPED(StepSchedule, step_schedule)
BACKPASS_KERNEL_UNTYPED(ExponentialSchedule, exponential_schedule)
BACKPASS_KERNEL_UNTYPED(CosineSchedule, cosine_schedule)
BACKPASS_KERNEL_UNTYPED(OneCycleSchedule, one_cycle_schedule)
BACKPASS_KERNEL_UNTYPED(PiecewiseSchedule, piecewise_schedule)

}  // namespace backpass::BACKPASS_ISA
