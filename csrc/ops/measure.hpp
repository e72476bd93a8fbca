// Measurements while training: norms of parts of a vector, idle units; and the core's peak for the benchmark.
#pragma once
#include "fields.hpp"

namespace backpass {

// norms[l] = √Σ (flat - before)² over the elements from ends[l-1] to ends[l]. A task is one part.
template <class T>
struct PartNorms {
    static constexpr const char* name = "part_norms";
    Tensor<const T> flat, before;
    Tensor<const std::int64_t> ends;
    Tensor<double> norms;

    template <class Visit>
    void fields(Visit&& field) {
        field("flat", flat);
        field("before", before, optional);
        field("ends", ends);
        field("norms", norms);
    }
    const char* invalid() const {
        if (!same_size(flat, before)) return "flat and before must have one size";
        return same_size(ends, norms) ? nullptr : "ends and norms must have one size";
    }
    double flops() const { return 3.0 * double(flat.size()); }
    double bytes() const { return (before ? 2.0 : 1.0) * sizeof(T) * double(flat.size()); }
    std::int64_t tasks() const { return norms.size(); }
};

// fired[o] = sample where y > 0 in any row; share = the fraction of units that stayed silent in the last `window` samples.
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
        field("y", y, padded);
        field("sample", sample);
        field("fired", fired);
        field("share", share);
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

// share = the fraction of elements with |y - centre| > reach
template <class T>
struct SaturatedUnits {
    static constexpr const char* name = "saturated_units";
    Tensor<const T> y;
    Tensor<double> share;
    double centre = 0, reach = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("y", y, padded);
        field("share", share);
        field("centre", centre);
        field("reach", reach);
    }
    const char* invalid() const {
        if (!(reach >= 0)) return "reach must be at least 0";
        return has_size(share, 1) ? nullptr : "share must be (1,)";
    }
    double flops() const { return 2.0 * double(y.size()); }
    double bytes() const { return double(sizeof(T)) * double(y.size()); }
    std::int64_t tasks() const { return 1; }
};

// y = x, then `rounds` times y = y · factor + term: arithmetic in registers alone, which measures the core's peak.
template <class T>
struct MultiplyAdd {
    static constexpr const char* name = "multiply_add";
    Tensor<const T> x;
    Tensor<T> y;
    double factor = 1, term = 0;
    std::int64_t rounds = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
        field("factor", factor);
        field("term", term);
        field("rounds", rounds);
    }
    const char* invalid() const {
        // Bounded, because a task cannot be interrupted.
        if (rounds < 0 || rounds > 1 << 20) return "rounds must be 0 to 2^20";
        return same_size(x, y) ? nullptr : "x and y must have one shape";
    }
    double flops() const { return 2.0 * double(x.size()) * double(rounds); }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return pieces(x.size(), kElementPiece); }
};

using MeasureOps = BothDtypes<PartNorms, DeadUnits, SaturatedUnits, MultiplyAdd>;

}  // namespace backpass
