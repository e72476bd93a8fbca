// Sums: along a row, down the rows, and over a whole batch for a loss.
#pragma once
#include "../../ops/fields.hpp"
#include "loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// The sum of f(i, n) over `size` elements, lane by lane.
template <class T, class F>
BP_INLINE vec<T> sum_vectors(Index size, F f) {
    constexpr int w = width<T>;
    vec<T> a{}, b{}, c{}, d{};
    Index i = 0;
    for (; i + 4 * w <= size; i += 4 * w)
        a += f(i, w), b += f(i + w, w), c += f(i + 2 * w, w), d += f(i + 3 * w, w);
    for (; i + w <= size; i += w) a += f(i, w);
    if (i < size) b += keep_first(f(i, int(size - i)), int(size - i));
    return (a + b) + (c + d);
}

constexpr Index kRowsOfSum = 64;  // rows of one part of a sum

// N sums over rows, in parts of `piece` rows for accuracy. add(b, part) adds row b.
template <class T, int N, class F>
BP_INLINE void sum_rows(Index rows, Index piece, vec<T> (&total)[N], F add) {
    for (Index b = 0; b < rows;) {
        const Index end = rows - b < piece ? rows : b + piece;
        vec<T> part[N] = {};
        for (; b < end; ++b) add(b, part);
        for (int k = 0; k < N; ++k) total[k] += part[k];
    }
}

constexpr Index kSquaresPiece = 1024;  // elements, few enough to add up in T
constexpr Index kSquaresAhead = 512;   // distance of the prefetch, in elements

// Σ g² over at most kSquaresPiece elements.
template <class T>
BP_INLINE double sum_of_squares(const T* g, Index n) {
    return double(sum(sum_vectors<T>(n, [=](Index i, int lanes) BP_INLINED {
        __builtin_prefetch(g + i + kSquaresAhead);
        const vec<T> v = load_some(g + i, lanes);
        return v * v;
    })));
}

// ---- losses -----------------------------------------------------------------------------------------------

// A sum of many vectors, in double.
template <class T>
struct Sum {
    vec<double> parts[8 / sizeof(T)] = {};

    BP_INLINE void add(vec<T> v) {
        if constexpr (sizeof(T) == 8) {
            parts[0] += v;
        } else {
            constexpr int half = width<double>;
            parts[0] += __builtin_convertvector(shuffle<From<0>, vec<T>, half>(v, v), vec<double>);
            parts[1] += __builtin_convertvector(shuffle<From<half>, vec<T>, half>(v, v), vec<double>);
        }
    }
    BP_INLINE double total() const {
        if constexpr (sizeof(T) == 8) return sum(parts[0]);
        return sum(parts[0] + parts[8 / sizeof(T) - 1]);
    }
};

// The divisor of a loss and its gradient, for rows of total weight `total` with `outputs` values each.
template <class Op>
BP_INLINE double divisor_of(const Op& op, double total, Index outputs = 1) {
    const bool sum = op.reduction == Reduction::sum;
    op.count.data[0] = sum ? 1 : total;
    const double divisor = sum ? 1 : op.reduction == Reduction::mean ? total * double(outputs) : total;
    return divisor == 0 ? 1 : divisor;
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
