// The bias of a linear layer: added behind a product, and its gradient.
#pragma once
#include "../ops/types.hpp"
#include "rows.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// z + bias, and relu, the commonest activation; the others follow in a sweep over the finished tile rows.
template <class T>
struct Biased {
    const T* bias;
    bool relu;

    template <class>
    BP_INLINE vec<T> column(Index col, int lanes, bool masked) const {
        return !bias ? vec<T>{} : masked ? load_tail(bias + col, lanes) : load(bias + col);
    }
    BP_INLINE vec<T> apply(vec<T> z, vec<T> column, Index, Index, int, bool) const {
        z = bias ? z + column : z;
        return relu ? max(vec<T>{}, z) : z;
    }
};

// dbias[n0 .. n1] = Σ dy over the rows, first to last
template <class T>
void sum_rows(const Tensor<const T>& dy, T* dbias, Index n0, Index n1) {
    const Index B = dy.rows(), ld = dy.ld();
    for (Index n = n0; n < n1; n += width<T>) {
        const int lanes = int(n1 - n < width<T> ? n1 - n : width<T>);
        vec<T> total{};
        const T* row = dy.data + n;
        if (lanes == width<T>)
            for (Index b = 0; b < B; ++b, row += ld) total += load(row);
        else
            for (Index b = 0; b < B; ++b, row += ld) total += load_tail(row, lanes);
        store_tail(dbias + n, total, lanes);
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
