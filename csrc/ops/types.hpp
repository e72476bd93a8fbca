// What all of csrc shares: tensors, ranges of tasks, scratch memory, and the named choices of ops.
#pragma once
#include <cstddef>
#include <cstdint>

// Forced inline, so that no kernel object carries a weak copy compiled for a newer CPU (see csrc/README.md).
#define BP_INLINE __attribute__((always_inline)) inline
#define BP_INLINED __attribute__((always_inline))  // the same for a lambda: [](auto a) BP_INLINED { ... }

namespace backpass {

inline constexpr int kMaxDims = 6;

// An array that somebody else owns; C-contiguous, but rows that a field lets lie `apart` have a gap behind them.
// data == nullptr: the optional argument was not given.
template <class T>
struct Tensor {
    T* data = nullptr;
    int ndim = 0;
    std::int64_t shape[kMaxDims] = {};
    std::int64_t gap = 0;  // elements between the end of a row and the next one

    BP_INLINE explicit operator bool() const { return data != nullptr; }
    BP_INLINE std::int64_t size() const {
        std::int64_t n = 1;
        for (int i = 0; i < ndim; ++i) n *= shape[i];
        return n;
    }
    // The tensor as a matrix: the last dimension is the columns, all the others together the rows.
    BP_INLINE std::int64_t cols() const { return ndim == 0 ? 1 : shape[ndim - 1]; }
    BP_INLINE std::int64_t rows() const {
        std::int64_t n = 1;
        for (int i = 0; i + 1 < ndim; ++i) n *= shape[i];
        return n;
    }
    BP_INLINE std::int64_t ld() const { return cols() + gap; }  // leading dimension: from row to row
};

// Work items [begin, end) of an op, cut the same way whatever the number of threads.
struct Range {
    std::int64_t begin;
    std::int64_t end;
};

// Memory of one thread, 64-byte aligned: where a product packs its operands.
inline constexpr std::size_t kScratchBytes = 2 << 20;
struct Scratch {
    void* data;
};

// Names and order of python/backpass/formulas.py.
enum class Activation { identity, relu, leaky_relu, tanh, sigmoid, elu, softplus, gelu, gelu_tanh, silu };
inline constexpr const char* kActivationNames[] = {"identity", "relu", "leaky_relu", "tanh", "sigmoid", "elu",
                                                   "softplus", "gelu", "gelu_tanh",  "silu"};

enum class Pointwise {
    mse,
    half_mse,
    l1,
    huber,
    smooth_l1,
    bce_with_logits,
    poisson,
    poisson_rate,
    quantile,
    hinge,
    focal,
    soft_nll
};
inline constexpr const char* kPointwiseNames[] = {"mse",       "half_mse",        "l1",      "huber",
                                                  "smooth_l1", "bce_with_logits", "poisson", "poisson_rate",
                                                  "quantile",  "hinge",           "focal",   "soft_nll"};

// "mean" divides by the sum of the weights (and the number of outputs, if they are not classes), "sum" by nothing,
// "batchmean" by the weights alone.
enum class Reduction { mean, sum, batchmean };
inline constexpr const char* kReductionNames[] = {"mean", "sum", "batchmean"};

}  // namespace backpass
