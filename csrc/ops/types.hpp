// What all of csrc shares: tensors, ranges of tasks, scratch memory, and the named choices of ops.
#pragma once
#include <cstddef>
#include <cstdint>

// Forced inline: an object of one instruction set must never hold a copy that the linker could use elsewhere (csrc/README.md).
#define BP_INLINE __attribute__((always_inline)) inline
// Forced inline for a lambda: [](auto a) BP_INLINED { ... }
#define BP_INLINED __attribute__((always_inline))

namespace backpass {

inline constexpr int kMaxDims = 6;

// A view of an array that the caller owns. It is C-contiguous, except that a field may allow padded rows.
// data == nullptr: an optional array is absent.
template <class T>
struct Tensor {
    T* data = nullptr;
    int ndim = 0;
    std::int64_t shape[kMaxDims] = {};
    std::int64_t gap = 0;  // elements of padding behind each row

    BP_INLINE explicit operator bool() const { return data != nullptr; }
    BP_INLINE std::int64_t size() const {
        std::int64_t n = 1;
        for (int i = 0; i < ndim; ++i) n *= shape[i];
        return n;
    }
    // The tensor as a matrix: the last dimension counts the columns, the product of all others the rows.
    BP_INLINE std::int64_t cols() const { return ndim == 0 ? 1 : shape[ndim - 1]; }
    BP_INLINE std::int64_t rows() const {
        std::int64_t n = 1;
        for (int i = 0; i + 1 < ndim; ++i) n *= shape[i];
        return n;
    }
    // Leading dimension: elements from one row to the next.
    BP_INLINE std::int64_t ld() const { return cols() + gap; }
};

// Tasks [begin, end) of an op; or elements, rows or channels.
struct Range {
    std::int64_t begin;
    std::int64_t end;
};

// Working memory of one thread, 64-byte aligned: products pack their operands there.
inline constexpr std::size_t kScratchBytes = 2 << 20;
struct Scratch {
    void* data;
};

// ---- named choices ----------------------------------------------------------------------------------------

// One list makes an enum and the array of its names; count_of(names) is their number. Python's formulas have the same names.
#define BACKPASS_ENUMERATOR(name, ...) name,
#define BACKPASS_NAME(name, ...) #name,
template <int N>
BP_INLINE constexpr int count_of(const char* const (&)[N]) {
    return N;
}

// X(name, stores_slope): does the forward pass store the slope, because y does not determine it?
#define BACKPASS_ACTIVATIONS(X) \
    X(identity, false)          \
    X(relu, false)              \
    X(leaky_relu, false)        \
    X(tanh, false)              \
    X(sigmoid, false)           \
    X(elu, false)               \
    X(softplus, false)          \
    X(gelu, true)               \
    X(gelu_tanh, true)          \
    X(silu, true)
enum class Activation { BACKPASS_ACTIVATIONS(BACKPASS_ENUMERATOR) };
inline constexpr const char* kActivationNames[] = {BACKPASS_ACTIVATIONS(BACKPASS_NAME)};

#define BACKPASS_STORES_SLOPE(name, stores) stores,
BP_INLINE constexpr bool stores_slope(Activation activation) {
    constexpr bool stores[] = {BACKPASS_ACTIVATIONS(BACKPASS_STORES_SLOPE)};
    return stores[int(activation)];
}

#define BACKPASS_POINTWISE(X) \
    X(mse)                    \
    X(half_mse)               \
    X(l1)                     \
    X(huber)                  \
    X(smooth_l1)              \
    X(bce_with_logits)        \
    X(poisson)                \
    X(poisson_rate)           \
    X(quantile)               \
    X(hinge)                  \
    X(focal)                  \
    X(soft_nll)
enum class Pointwise { BACKPASS_POINTWISE(BACKPASS_ENUMERATOR) };
inline constexpr const char* kPointwiseNames[] = {BACKPASS_POINTWISE(BACKPASS_NAME)};

// What a loss is divided by. mean: the weights times the outputs of a row, which are 1 for classes; batchmean: the weights.
#define BACKPASS_REDUCTIONS(X) X(mean) X(sum) X(batchmean)
enum class Reduction { BACKPASS_REDUCTIONS(BACKPASS_ENUMERATOR) };
inline constexpr const char* kReductionNames[] = {BACKPASS_REDUCTIONS(BACKPASS_NAME)};

}  // namespace backpass
