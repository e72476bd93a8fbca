// The loop under every dense product: a few rows of A times a few vectors of B, over k.
#pragma once
#include "operands.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// acc[First + m][v] += A(m, k) · B(k, v) over all k. Masked: the last vector of columns has `tail` lanes. Pack: the panel of B is packed
// for later tiles, hidden behind the FMAs.
template <int Rows, int Vectors, bool Masked, bool Pack, int First = 0, int All, class T>
BP_INLINE void multiply(vec<T> (&acc)[All][Vectors], Operand<T> a, const T* b, Index ldb, Index k_end,
                        int tail, T* packed) {
    const T* base[(Rows + 2) / 3];  // one pointer for three rows: base, base + row, base + 2 row
    for (int i = 0; i < (Rows + 2) / 3; ++i) base[i] = a.data + 3 * i * a.row;
    for (Index k = 0; k < k_end; ++k) {
        vec<T> bv[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            bv[v] = Masked && v + 1 == Vectors ? load_tail(b + v * width<T>, tail) : load(b + v * width<T>);
            if constexpr (Pack) {
                store(packed + v * width<T>, bv[v]);
                __builtin_prefetch(b + kRowsAhead * ldb + v * width<T>);
            }
        }
        packed += Pack ? kPanel<T> : 0;
#pragma GCC unroll 16
        for (int m = 0; m < Rows; ++m) {
            const vec<T> av = broadcast<T>(base[m / 3][(m % 3) * a.row]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) acc[First + m][v] = fma(av, bv[v], acc[First + m][v]);
        }
#pragma GCC unroll 8
        for (int i = 0; i < (Rows + 2) / 3; ++i) base[i] += a.step;
        b += ldb;
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
