// What happens to the elements of a product before they are stored. Also the gradient of a bias.
#pragma once
#include "../vector/loops.hpp"

namespace backpass::BACKPASS_ISA {

// Data of a product, read once a tile. What is null does not happen; the order is that of the fields.
template <class T>
struct Epilogue {
    const T* bias = nullptr;      // + bias[column]
    const T* row_bias = nullptr;  // + row_bias[row], of a transposed product
    bool relu = false;            // max(0, ...); other activations follow in a pass over the finished rows
    const T* where = nullptr;  // 0 where where[row * ld + column] is not positive: the gradient through relu
    const T* added = nullptr;  // + added[row * ld + column]; it may be C if K is at most kBlockK
    Index ld = 0;

    BP_INLINE bool does_nothing() const { return !bias && !row_bias && !relu && !where && !added; }
};

namespace {

// Its first part for a vector of C, where nothing else is asked for: the bias of its columns, then relu.
template <class T>
BP_INLINE vec<T> bias_of(const Epilogue<T>& e, Index col, int lanes) {
    return e.bias ? load_some(e.bias + col, lanes) : vec<T>{};
}
template <class T>
BP_INLINE vec<T> biased(vec<T> value, const Epilogue<T>& e, vec<T> bias) {
    if (e.bias) value += bias;
    return e.relu ? max(vec<T>{}, value) : value;
}

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
