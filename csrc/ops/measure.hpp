// Ring 0: the health of a step (callbacks/measures.py).
#pragma once
#include "fields.hpp"

namespace backpass {

// norms[l] = √Σ (flat - before)² over the elements from ends[l-1] to ends[l]; a task each.
template <class T>
struct PartNorms {
    static constexpr const char* name = "part_norms";
    Tensor<const T> flat, before;
    Tensor<const std::int64_t> ends;
    Tensor<double> norms;

    template <class Visit>
    void fields(Visit&& field) {
        field("flat", flat), field("before", before, optional), field("ends", ends), field("norms", norms);
    }
    const char* invalid() const {
        if (!same_size(flat, before)) return "flat and before must have one size";
        return same_size(ends, norms) ? nullptr : "ends and norms must have one size";
    }
    double flops() const { return 3.0 * double(flat.size()); }
    double bytes() const { return (before ? 2.0 : 1.0) * sizeof(T) * double(flat.size()); }
    std::int64_t tasks() const { return norms.size(); }
};

// fired[o] = sample where y is greater than 0 in any row; share of the units that did not fire in the last `window` samples.
template <class T>
struct DeadUnits {
    static constexpr const char* name = "dead_units";
    Tensor<const T> y;
    Tensor<const std::int64_t> sample;
    Tensor<std::int64_t> fired;
    Tensor<double> share;
    std::int64_t window = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("y", y, apart), field("sample", sample), field("fired", fired), field("share", share);
        field("window", window);
    }
    const char* invalid() const {
        if (!has_size(sample, 1) || !has_size(share, 1)) return "sample and share must be (1,)";
        return has_size(fired, y.cols()) ? nullptr : "fired must be (O,)";
    }
    double flops() const { return double(y.size()); }
    double bytes() const { return double(sizeof(T)) * double(y.size()); }
    std::int64_t tasks() const { return 1; }
};

// share of the elements with |y - centre| > reach
template <class T>
struct SaturatedUnits {
    static constexpr const char* name = "saturated_units";
    Tensor<const T> y;
    Tensor<double> share;
    double centre = 0, reach = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("y", y, apart), field("share", share), field("centre", centre), field("reach", reach);
    }
    const char* invalid() const {
        if (!(reach >= 0)) return "reach must be at least 0";
        return has_size(share, 1) ? nullptr : "share must be (1,)";
    }
    double flops() const { return 2.0 * double(y.size()); }
    double bytes() const { return double(sizeof(T)) * double(y.size()); }
    std::int64_t tasks() const { return 1; }
};

}  // namespace backpass
