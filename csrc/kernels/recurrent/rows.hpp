// The rows of a task and their steps, where rows have lengths.
#pragma once
#include "../vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Rows that go through their steps together, the longest first: those that still run are always the first ones.
struct SequenceRows {
    Index count = 0, steps = 0;
    bool reverse = false;
    Index row[kMostSequenceRows] = {}, end[kMostSequenceRows] = {};

    // Rows begin .. begin + size. A length may be forged.
    template <class Lengths>
    BP_INLINE SequenceRows(Index begin, Index size, Index steps, const Lengths& lengths, bool reverse)
        : count(size), steps(steps), reverse(reverse) {
        for (Index i = 0; i < size; ++i) {
            Index length = lengths ? lengths.data[begin + i] : steps, at = i;
            length = length < 0 ? 0 : length > steps ? steps : length;
            for (; at > 0 && end[at - 1] < length; --at) {
                row[at] = row[at - 1];
                end[at] = end[at - 1];
            }
            row[at] = begin + i;
            end[at] = length;
        }
    }
    BP_INLINE Index longest() const { return count ? end[0] : 0; }
    // How many rows have a step of this number.
    BP_INLINE Index running(Index step) const {
        Index n = 0;
        while (n < count && end[n] > step) ++n;
        return n;
    }
    // The place (row, time) of a step in an array (B, T, ...).
    BP_INLINE Index place(Index i, Index step) const {
        return row[i] * steps + (reverse ? end[i] - 1 - step : step);
    }
    // What was there one step before: of `first` (B, H) at the first step; zeros, which are null, without it.
    template <class T>
    BP_INLINE const T* before(Index i, Index step, const T* sequence, const T* first, Index width) const {
        if (step > 0) return sequence + place(i, step - 1) * width;
        return first ? first + row[i] * width : nullptr;
    }
    // Zeros behind the end of row i of an array (B, T, width).
    template <class T>
    BP_INLINE void clear_rest(Index i, T* sequence, Index width) const {
        if (sequence && end[i] < steps)
            __builtin_memset(sequence + (row[i] * steps + end[i]) * width, 0,
                             sizeof(T) * std::uint64_t((steps - end[i]) * width));
    }
};

// Pieces of scratch memory, one after another.
template <class T>
struct Pieces {
    T* at;

    BP_INLINE T* take(Index elements) {
        T* const piece = at;
        at += (elements + kLine<T> - 1) / kLine<T> * kLine<T>;
        return piece;
    }
};

// n elements; zeros if `from` is null.
template <class T>
__attribute__((noinline)) void copy_or_zero(T* to, const T* from, Index n) {
    each_vector<T>(
        n, [&](Index i, int lanes) BP_INLINED { store_some(to + i, load_or(T(0), from, i, lanes), lanes); });
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
