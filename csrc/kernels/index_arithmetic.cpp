// Integers that become indices. Nothing they are given is undefined: sums wrap around, and a division by 0 gives 0.
#include "../ops/index_arithmetic.hpp"
#include "kernel.hpp"
#include "vector/strides.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

using Unsigned = std::uint64_t;

BP_INLINE Index wrapped(Unsigned value) { return Index(value); }

// Rounded down. The lowest number divided by -1 is itself.
BP_INLINE Index quotient(Index a, Index b) {
    if (b == 0) return 0;
    if (b == -1) return wrapped(0 - Unsigned(a));
    const Index q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}
// With the sign of b.
BP_INLINE Index remainder(Index a, Index b) {
    if (b == 0 || b == -1) return 0;
    const Index r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

BP_INLINE Index computed(IndexFunction function, Index a, Index b) {
    switch (function) {
        case IndexFunction::add:
            return wrapped(Unsigned(a) + Unsigned(b));
        case IndexFunction::sub:
            return wrapped(Unsigned(a) - Unsigned(b));
        case IndexFunction::mul:
            return wrapped(Unsigned(a) * Unsigned(b));
        case IndexFunction::floordiv:
            return quotient(a, b);
        case IndexFunction::mod:
            return remainder(a, b);
        case IndexFunction::lt:
            return a < b;
        case IndexFunction::le:
            return a <= b;
        case IndexFunction::gt:
            return a > b;
        case IndexFunction::ge:
            return a >= b;
        case IndexFunction::eq:
            return a == b;
        case IndexFunction::ne:
            return a != b;
    }
    return 0;
}

// y = function(a, b), which wraps around beyond 64 bits
void index_function(const IndexFunctionOf& op, Range range, Scratch) {
    const auto [begin, end] = covered(range, kElementPiece, op.y.size());
    Walk<const Index> a(op.a, begin, op.a.ndim), b(op.b, begin, op.b.ndim);
    Walk<Index> y(op.y, begin, op.y.ndim);
    for (Index i = begin; i < end; ++i, a.next(), b.next(), y.next())
        op.y.data[y.offset] = computed(op.function, op.a.data[a.offset], op.b.data[b.offset]);
}

// y = a where the condition is not 0, else b
template <class T>
void index_where(const IndexWhere<T>& op, Range range, Scratch) {
    const auto [begin, end] = covered(range, kElementPiece, op.y.size());
    Walk<const T> condition(op.condition, begin, op.condition.ndim);
    Walk<const Index> a(op.a, begin, op.a.ndim), b(op.b, begin, op.b.ndim);
    Walk<Index> y(op.y, begin, op.y.ndim);
    for (Index i = begin; i < end; ++i, condition.next(), a.next(), b.next(), y.next())
        op.y.data[y.offset] =
            op.condition.data[condition.offset] != 0 ? op.a.data[a.offset] : op.b.data[b.offset];
}

// y = x without its fraction
template <class T>
void to_index(const ToIndex<T>& op, Range range, Scratch) {
    const auto [begin, end] = covered(range, kElementPiece, op.x.size());
    Index* const y = op.y.data + begin;
    each_run(op.x, begin, end - begin, [&](Index from, Index step, Index i, Index n) BP_INLINED {
        for (Index k = 0; k < n; ++k) {
            const T x = op.x.data[from + k * step];
            y[i + k] = x > T(-0x1p63) && x < T(0x1p63) ? Index(x) : -1;
        }
    });
}

}  // namespace

BACKPASS_KERNEL_UNTYPED(IndexFunctionOf, index_function)
BACKPASS_KERNEL(IndexWhere, index_where)
BACKPASS_KERNEL(ToIndex, to_index)

}  // namespace backpass::BACKPASS_ISA
