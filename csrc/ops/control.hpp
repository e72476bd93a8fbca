// Ring 0: what steers a run, a few scalars a step: python/backpass/batches.py and optim/.
#pragma once
#include "fields.hpp"

namespace backpass {

inline constexpr std::int64_t kGatherPiece = 65536;  // elements of one task, in whole rows

// An op on a handful of numbers: one task, no work to speak of.
struct Control {
    double flops() const { return 0; }
    double bytes() const { return 0; }
    BP_INLINE std::int64_t tasks() const { return 1; }
};

// Rows of the data, which lie in memory as Source, in the model's dtype.
template <class T, class Source = T>
struct Gather {
    static constexpr const char* name = "gather";
    Tensor<const Source> source;
    Tensor<const std::int64_t> index, cursor;
    Tensor<T> out;

    template <class Visit>
    void fields(Visit&& field) {
        field("source", source), field("index", index), field("cursor", cursor);
        field("out", out, apart);
    }
    const char* invalid() const {
        if (source.ndim != 2 || out.ndim != 2 || source.shape[1] != out.shape[1])
            return "source must be (N, F), out (B, F)";
        return has_size(index, source.shape[0]) && has_size(cursor, 1) ? nullptr
                                                                       : "index must be (N,), cursor (1,)";
    }
    double flops() const { return 0; }
    double bytes() const { return double(sizeof(T) + sizeof(Source)) * double(out.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kGatherPiece, out.cols()); }
    BP_INLINE std::int64_t tasks() const { return out.size() == 0 ? 0 : pieces(out.rows(), rows_per_task()); }
};

// One for each of NUMBERS (python/backpass/contract.py).
template <class T>
using GatherFloat = Gather<T, float>;
template <class T>
using GatherDouble = Gather<T, double>;
template <class T>
using GatherInt8 = Gather<T, std::int8_t>;
template <class T>
using GatherUint8 = Gather<T, std::uint8_t>;
template <class T>
using GatherInt16 = Gather<T, std::int16_t>;
template <class T>
using GatherUint16 = Gather<T, std::uint16_t>;
template <class T>
using GatherInt32 = Gather<T, std::int32_t>;
template <class T>
using GatherInt64 = Gather<T, std::int64_t>;

struct GatherLabels : Gather<std::int64_t> {
    static constexpr const char* name = "gather_labels";
};

struct Shuffle : Control {
    static constexpr const char* name = "shuffle";
    Tensor<const std::int64_t> epoch;
    Tensor<std::int64_t> index;
    std::int64_t seed = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("epoch", epoch), field("index", index), field("seed", seed);
    }
    const char* invalid() const { return has_size(epoch, 1) ? nullptr : "epoch must be (1,)"; }
};

struct Advance : Control {
    static constexpr const char* name = "advance";
    Tensor<const double> loss, count;
    Tensor<std::int64_t> step, cursor;
    Tensor<double> total;
    std::int64_t rows = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("loss", loss), field("count", count), field("step", step), field("cursor", cursor),
            field("total", total), field("rows", rows);
    }
    const char* invalid() const {
        return has_size(loss, 1) && has_size(count, 1) && has_size(step, 1) && has_size(cursor, 1) &&
                       has_size(total, 2)
                   ? nullptr
                   : "loss, count, step and cursor must be (1,), total (2,)";
    }
};

struct ClipScale : Control {
    static constexpr const char* name = "clip_scale";
    Tensor<const double> loss, partials;
    Tensor<double> norm, scale;
    Tensor<std::int64_t> halt;
    double max_norm = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("loss", loss), field("partials", partials), field("norm", norm), field("scale", scale),
            field("halt", halt), field("max_norm", max_norm);
    }
    const char* invalid() const {
        return has_size(loss, 1) && has_size(norm, 1) && has_size(scale, 1) && has_size(halt, 1)
                   ? nullptr
                   : "loss, norm, scale and halt must be (1,)";
    }
};

struct L2Loss : Control {
    static constexpr const char* name = "l2_loss";
    Tensor<const double> partials, count;
    Tensor<double> loss;
    double alpha = 0, share = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("partials", partials), field("count", count), field("loss", loss), field("alpha", alpha),
            field("share", share);
    }
    const char* invalid() const {
        return has_size(loss, 1) && has_size(count, 1) ? nullptr : "loss and count must be (1,)";
    }
};

struct NadamMomentum : Control {
    static constexpr const char* name = "nadam_momentum";
    Tensor<const std::int64_t> step;
    Tensor<double> mu_product, coefficients;
    double beta1 = 0.9, momentum_decay = 4e-3;

    template <class Visit>
    void fields(Visit&& field) {
        field("step", step), field("mu_product", mu_product), field("coefficients", coefficients),
            field("beta1", beta1), field("momentum_decay", momentum_decay);
    }
    const char* invalid() const {
        return has_size(step, 1) && has_size(mu_product, 1) && has_size(coefficients, 2)
                   ? nullptr
                   : "step and mu_product must be (1,), coefficients (2,)";
    }
};

// What every learning-rate schedule has.
struct Schedule : Control {
    Tensor<const std::int64_t> step;
    Tensor<double> lr;
    double initial = 0;

    template <class Visit>
    void common(Visit&& field) {
        field("step", step), field("lr", lr), field("initial", initial);
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
        field("every", every), field("factor", factor);
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
        field("warmup_steps", warmup_steps), field("total_steps", total_steps), field("end", end);
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
        field("milestones", milestones), field("factors", factors);
    }
    const char* invalid() const {
        return same_size(milestones, factors) ? Schedule::invalid()
                                              : "milestones and factors must have one size";
    }
};

}  // namespace backpass
