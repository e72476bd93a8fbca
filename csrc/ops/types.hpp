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

// A view of an array with any strides: transposed, broadcast (stride 0), reversed. Strides are in elements.
template <class T>
struct Strided {
    T* data = nullptr;
    int ndim = 0;
    std::int64_t shape[kMaxDims] = {};
    std::int64_t stride[kMaxDims] = {};

    BP_INLINE explicit operator bool() const { return data != nullptr; }
    BP_INLINE std::int64_t size() const {
        std::int64_t n = 1;
        for (int i = 0; i < ndim; ++i) n *= shape[i];
        return n;
    }
    // Whether element i of the C order lies at data[i].
    BP_INLINE bool contiguous() const {
        std::int64_t expected = 1;
        for (int i = ndim - 1; i >= 0; --i) {
            if (shape[i] != 1 && stride[i] != expected) return false;
            expected *= shape[i];
        }
        return true;
    }
};

// Tasks [begin, end) of an op; or elements, rows or channels.
struct Range {
    std::int64_t begin;
    std::int64_t end;
};

// Bytes of the working memory of one thread, 64-byte aligned: products pack their operands there.
inline constexpr std::size_t kScratchBytes = 2 << 20;

// The data caches of a core, in bytes. They decide blocks and copies, never a bit of a result.
struct Caches {
    std::int64_t l1 = 32 << 10;
    std::int64_t way = 4 << 10;  // of L1: addresses so far apart share a set; a power of two
    std::int64_t l2 = 1 << 20;
};
inline constexpr Caches kUsualCaches;

// What the runtime lends a kernel: working memory, and the sizes of the caches that it runs on.
struct Scratch {
    void* data;
    const Caches* caches = &kUsualCaches;
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

// How a product reads its float32 operands: as they are, or as sums of bfloat16, of which so many products count.
#define BACKPASS_PRECISIONS(X) X(float32) X(bf16x6) X(bf16x3) X(bf16)
enum class Precision { BACKPASS_PRECISIONS(BACKPASS_ENUMERATOR) };
inline constexpr const char* kPrecisionNames[] = {BACKPASS_PRECISIONS(BACKPASS_NAME)};

// What multiplies at a precision: float32 stands in for all; instructions; loops that compute what vdpbf16ps and amx do.
#define BACKPASS_UNITS(X) X(float32) X(vdpbf16ps) X(emulation) X(amx) X(amx_emulation)
enum class Unit { BACKPASS_UNITS(BACKPASS_ENUMERATOR) };
inline constexpr const char* kUnitNames[] = {BACKPASS_UNITS(BACKPASS_NAME)};

// What is computed of two integers that become indices.
#define BACKPASS_INDEX_FUNCTIONS(X) \
    X(add) X(sub) X(mul) X(floordiv) X(mod) X(lt) X(le) X(gt) X(ge) X(eq) X(ne)
enum class IndexFunction { BACKPASS_INDEX_FUNCTIONS(BACKPASS_ENUMERATOR) };
inline constexpr const char* kIndexFunctionNames[] = {BACKPASS_INDEX_FUNCTIONS(BACKPASS_NAME)};

// X(name, operands): what a step of an expression computes.
#define BACKPASS_FUNCTIONS(X) \
    X(copy, 1)                \
    X(neg, 1)                 \
    X(abs, 1)                 \
    X(sign, 1)                \
    X(sqrt, 1)                \
    X(exp, 1)                 \
    X(expm1, 1)               \
    X(log, 1)                 \
    X(log1p, 1)               \
    X(sin, 1)                 \
    X(cos, 1)                 \
    X(erf, 1)                 \
    X(relu, 1)                \
    X(sigmoid, 1)             \
    X(tanh, 1)                \
    X(add, 2)                 \
    X(sub, 2)                 \
    X(mul, 2)                 \
    X(div, 2)                 \
    X(pow, 2)                 \
    X(minimum, 2)             \
    X(maximum, 2)             \
    X(lt, 2)                  \
    X(le, 2)                  \
    X(gt, 2)                  \
    X(ge, 2)                  \
    X(eq, 2)                  \
    X(ne, 2)                  \
    X(where, 3)
enum class Function { BACKPASS_FUNCTIONS(BACKPASS_ENUMERATOR) };
inline constexpr const char* kFunctionNames[] = {BACKPASS_FUNCTIONS(BACKPASS_NAME)};

#define BACKPASS_OPERANDS(name, operands) operands,
BP_INLINE constexpr int operands_of(Function function) {
    constexpr int operands[] = {BACKPASS_FUNCTIONS(BACKPASS_OPERANDS)};
    return operands[int(function)];
}

// Whether one step of an expression may be two: `second` of what `first` gives, as its operand `at`. Where the order of the operands
// does not matter, `at` is 0.
BP_INLINE constexpr bool is_pair(Function first, Function second, int at) {
    const auto is_sum_or_product = [](Function f) {
        return f == Function::add || f == Function::sub || f == Function::mul;
    };
    if (second == Function::where) return at == 0 && Function::lt <= first && first <= Function::ne;
    return is_sum_or_product(first) && is_sum_or_product(second) &&
           (at == 0 || (at == 1 && second == Function::sub));
}

}  // namespace backpass
