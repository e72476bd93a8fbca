// The epilogue of a tile, while it is in registers.
#pragma once
#include "epilogue.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// f(m, row) for the rows of a tile. One pointer walks: the compiler would work out all addresses before the products, and spill them.
template <int Rows, class T, class F>
BP_INLINE void each_row(T* row, Index ld, F f) {
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m, row += ld) {
        __asm__("" : "+r"(row));
        f(m, row);
    }
}

// Of rows [First, First + Rows) of acc, whose first element is (row, col) of C. Masked: the last vector of columns has `tail` lanes.
template <int Rows, int Vectors, bool Masked, int First = 0, int All, class T>
BP_INLINE void finish(vec<T> (&acc)[All][Vectors], const Epilogue<T>& e, Index row, Index col, int tail) {
    const auto some = [&](const T* p, int v) BP_INLINED {
        return Masked && v + 1 == Vectors ? load_tail(p + v * width<T>, tail) : load(p + v * width<T>);
    };
    const auto each = [&](auto f) BP_INLINED {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
#pragma GCC unroll 16
            for (int m = 0; m < Rows; ++m) acc[First + m][v] = f(acc[First + m][v], m, v);
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
        each_row<Rows>(e.where + at, e.ld, [&](int m, const T* x) BP_INLINED {
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v)
                acc[First + m][v] = select(some(x, v) > vec<T>{}, acc[First + m][v], vec<T>{});
        });
    if (e.added)
        each_row<Rows>(e.added + at, e.ld, [&](int m, const T* x) BP_INLINED {
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) acc[First + m][v] += some(x, v);
        });
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
