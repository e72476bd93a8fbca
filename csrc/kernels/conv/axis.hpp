// One dimension of a convolution, or of a phase of its gradient: which places of the source and of the window an output reads.
//
// The gradient of x is a convolution of dy: with a stride s, the places of x fall into s phases, of which each is read by taps of
// its own, a dense convolution with stride 1.
#pragma once
#include "../../ops/conv.hpp"
#include "../vector/simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Output u of `count`, which lies at out + u * out_step, reads the source at origin + u * stride + m * dilation for each of its taps
// m, which is tap first_tap + m * tap_step of the window.
struct Axis {
    Index count, out, out_step;
    Index origin, stride, dilation;
    Index taps, first_tap, tap_step;

    // What outputs u0 .. u1 read: so many places from `from` on.
    BP_INLINE Index from(Index u0) const { return origin + u0 * stride; }
    BP_INLINE Index extent(Index outputs) const { return (outputs - 1) * stride + (taps - 1) * dilation + 1; }
    BP_INLINE bool inside(Index size) const { return origin >= 0 && origin + extent(count) <= size; }
};

BP_INLINE Axis forward_axis(const Slide& slide, Index places) {
    return {.count = places,
            .out = 0,
            .out_step = 1,
            .origin = -slide.before,
            .stride = slide.stride,
            .dilation = slide.dilation,
            .taps = slide.taps,
            .first_tap = 0,
            .tap_step = 1};
}

// Phase `phase` of `slide.stride` phases of the gradient for an input of `size` places.
BP_INLINE Axis gradient_axis(const Slide& slide, Index phase, Index size) {
    const Index s = slide.stride, d = slide.dilation;
    Index i0 = (phase - slide.before) % s;
    if (i0 < 0) i0 += s;
    Index divisor = s, rest = d % s;  // the greatest common divisor of s and d
    while (rest) {
        const Index next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    const Index every = s / divisor;  // taps of a phase are so far apart
    Index first = 0;
    while (first < every && (first * d - phase) % s != 0) ++first;
    const bool any = first < every && first < slide.taps;
    const Index taps = any ? (slide.taps - 1 - first) / every + 1 : 0, last = first + (taps - 1) * every;
    return {.count = i0 < size ? (size - i0 + s - 1) / s : 0,
            .out = i0,
            .out_step = s,
            .origin = any ? (i0 + slide.before - last * d) / s : 0,
            .stride = 1,
            .dilation = d / divisor,
            .taps = taps,
            .first_tap = last,
            .tap_step = -every};
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
