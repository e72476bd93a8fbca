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

// Columns n .. of bias_gradient: K vectors of them side by side, for an addition waits for the one before.
template <int K, class T>
BP_INLINE void bias_columns(const Tensor<const T>& dy, T* dbias, Index n, int lanes, bool adds) {
    const Index B = dy.rows(), ld = dy.ld();
    vec<T> total[K] = {};
    for (int k = 0; k < K && adds; ++k) total[k] = load_some(dbias + n + k * width<T>, lanes);
    const T* row = dy.data + n;
    for (Index b = 0; b < B; ++b, row += ld)
        for (int k = 0; k < K; ++k) total[k] += load_some(row + k * width<T>, lanes);
    for (int k = 0; k < K; ++k) store_some(dbias + n + k * width<T>, total[k], lanes);
}

// dbias[n0 .. n1] = Σ dy over the rows, from the first to the last; adds: to what dbias is.
template <class T>
void bias_gradient(const Tensor<const T>& dy, T* dbias, Index n0, Index n1, bool adds = false) {
    constexpr int w = width<T>;
    Index n = n0;
    for (; n + 4 * w <= n1; n += 4 * w) bias_columns<4>(dy, dbias, n, w, adds);
    for (; n + 2 * w <= n1; n += 2 * w) bias_columns<2>(dy, dbias, n, w, adds);
    for (; n + w <= n1; n += w) bias_columns<1>(dy, dbias, n, w, adds);
    if (n < n1) bias_columns<1>(dy, dbias, n, int(n1 - n), adds);
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
