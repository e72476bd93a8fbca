// How a kernel enters the table of its instruction set. Included by every .cpp file of kernels.
#pragma once
#include "../ops/types.hpp"
#include "vector/denormals.hpp"

namespace backpass::BACKPASS_ISA {

// Specialised once for every op, in the file of its family. table.cpp takes the address.
template <class Op>
void kernel(const Op& op, Range range, Scratch scratch);

namespace {

constexpr bool begins_with(const char* text, const char* part) {
    while (*part && *text == *part) ++text, ++part;
    return !*part;
}
constexpr bool contains(const char* text, const char* part) {
    while (*text && !begins_with(text, part)) ++text;
    return *text;
}

// Whether an op computes gradients by sums of products. What vanishes on its way back becomes 0 there, before it is denormal: products
// with denormals take up to a hundred times as long (benchmarks/LOG.md). An activation looks at the sign of what may be denormal.
template <class Op>
constexpr bool is_gradient = contains(Op::name, "_backward") && !contains(Op::name, "activation_backward");

}  // namespace

}  // namespace backpass::BACKPASS_ISA

// Register FUNCTION as the kernel of an op: KERNEL for a template of both dtypes, KERNEL_UNTYPED for a plain struct. Stands
// behind the anonymous namespace, inside backpass::BACKPASS_ISA.
#define BACKPASS_KERNEL_UNTYPED(OP, FUNCTION)                     \
    template <>                                                   \
    void kernel<OP>(const OP& op, Range range, Scratch scratch) { \
        const FlushDenormals flush(is_gradient<OP>);              \
        FUNCTION(op, range, scratch);                             \
    }
#define BACKPASS_KERNEL(OP, FUNCTION)            \
    BACKPASS_KERNEL_UNTYPED(OP<float>, FUNCTION) \
    BACKPASS_KERNEL_UNTYPED(OP<double>, FUNCTION)
