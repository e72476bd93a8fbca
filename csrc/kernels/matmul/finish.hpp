// The epilogue of a tile, while it is in registers.
#pragma once
#include "epilogue.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Of all elements of acc, whose first one is (row, col) of C. Masked: the last vector of columns has `tail` lanes.
template <int Rows, int Vectors, bool Masked, class T>
BP_INLINE void finish(vec<T> (&acc)[Rows][Vectors], const Epilogue<T>& e, Index row, Index col, int tail) {
    const auto some = [&](const T* p, int v) BP_INLINED {
        return Masked && v + 1 == Vectors ? load_tail(p + v * width<T>, tail) : load(p + v * width<T>);
    };
    const auto each = [&](auto f) BP_INLINED {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
#pragma GCC unroll 16
            for (int m = 0; m < Rows; ++m) acc[m][v] = f(acc[m][v], m, v);
    };
    if (e.bias) {
        vec<T> bias[Vectors];
        for (int v = 0; v < Vectors; ++v) bias[v] = some(e.bias + col, v);
        each([&](vec<T> z, int, int v) BP_INLINED { return z + bias[v]; });
    }
    if (e.row_bias) each([&](vec<T> z, int m, int) BP_INLINED { return z + e.row_bias[row + m]; });
    if (e.relu) each([&](vec<T> z, int, int) BP_INLINED { return max(vec<T>{}, z); });
    const Index at = row * e.ld + col;
    if (e.where)
        each([&](vec<T> z, int m, int v)
                 BP_INLINED { return select(some(e.where + at + m * e.ld, v) > vec<T>{}, z, vec<T>{}); });
    if (e.added)
        each([&](vec<T> z, int m, int v) BP_INLINED { return z + some(e.added + at + m * e.ld, v); });
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
