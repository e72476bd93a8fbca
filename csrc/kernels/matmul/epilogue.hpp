// Epilogues: what happens to the elements of a product before they are stored. Also the gradient of a bias.
//
// column(col, lanes, masked) is called once for each vector of columns of a tile. apply(value, column, row, col, lanes, masked)
// is called for each vector of the tile with what column() returned.
#pragma once
#include "../vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// The product as it is.
struct Plain {
    template <class T>
    BP_INLINE vec<T> column(Index, int, bool) const {
        return vec<T>{};
    }
    template <class V>
    BP_INLINE V apply(V value, V, Index, Index, int, bool) const {
        return value;
    }
};

// z + bias, then relu if asked. Other activations follow in a pass over the finished rows.
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

// Biased for a transposed product: the bias runs down the rows.
template <class T>
struct BiasedRows {
    const T* bias;
    bool relu;

    template <class>
    BP_INLINE vec<T> column(Index, int, bool) const {
        return vec<T>{};
    }
    BP_INLINE vec<T> apply(vec<T> z, vec<T>, Index row, Index, int, bool) const {
        z = bias ? z + bias[row] : z;
        return relu ? max(vec<T>{}, z) : z;
    }
};

// dx where relu let x through, 0 elsewhere.
template <class T>
struct WhereReLU {
    const T* x;
    Index ld;

    template <class>
    BP_INLINE vec<T> column(Index, int, bool) const {
        return vec<T>{};
    }
    BP_INLINE vec<T> apply(vec<T> dx, vec<T>, Index row, Index col, int lanes, bool masked) const {
        const T* at = x + row * ld + col;
        return select((masked ? load_tail(at, lanes) : load(at)) > vec<T>{}, dx, vec<T>{});
    }
};

// dbias[n0 .. n1] = Σ dy over the rows, from the first to the last; adds: to what dbias is.
template <class T>
void bias_gradient(const Tensor<const T>& dy, T* dbias, Index n0, Index n1, bool adds = false) {
    const Index B = dy.rows(), ld = dy.ld();
    for (Index n = n0; n < n1; n += width<T>) {
        const int lanes = int(n1 - n < width<T> ? n1 - n : width<T>);
        vec<T> total = adds ? load_some(dbias + n, lanes) : vec<T>{};
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
