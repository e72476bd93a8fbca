// Reductions over the last dimension. An output's sum has one order, whatever the other outputs are.
#include "../ops/reduction.hpp"
#include "kernel.hpp"
#include "vector/strides.hpp"
#include "vector/sums.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Outputs whose sums are added up at a time, where they lie side by side in x.
template <class T>
constexpr Index kSideBySide = 4 * width<T>;

// y[0 .. n) = scale times the sums of n columns: element r of column i is x[r * step + i].
template <class T, int Vectors>
BP_INLINE void sum_columns(const T* x, Index step, Index length, int lanes, T scale, T* y) {
    vec<T> total[Vectors] = {};
    const auto count = [&](int v) BP_INLINED { return v + 1 == Vectors ? lanes : width<T>; };
    sum_rows<T>(length, kRowsOfSum, total, [&](Index r, vec<T>(&part)[Vectors]) BP_INLINED {
        for (int v = 0; v < Vectors; ++v) part[v] += load_some(x + r * step + v * width<T>, count(v));
    });
    for (int v = 0; v < Vectors; ++v) store_some(y + v * width<T>, total[v] * scale, count(v));
}

// The sum of x[r * step], in parts for accuracy.
template <class T>
BP_INLINE T sum_apart(const T* x, Index step, Index length) {
    T total = 0;
    for (Index r = 0; r < length;) {
        const Index end = length - r < kRowsOfSum ? length : r + kRowsOfSum;
        T part = 0;
        for (; r < end; ++r) part += x[r * step];
        total += part;
    }
    return total;
}

template <class T>
BP_INLINE T sum_in_a_row(const T* x, Index length) {
    constexpr Index piece = 1024;
    T total = 0;
    for (Index r = 0; r < length; r += piece) {
        const Index n = length - r < piece ? length - r : piece;
        total += sum(
            sum_vectors<T>(n, [&](Index i, int lanes) BP_INLINED { return load_some(x + r + i, lanes); }));
    }
    return total;
}

template <class T>
void reduce_sum(const ReduceSum<T>& op, Range range, Scratch) {
    const int last = op.x.ndim - 1;
    const Index length = op.x.shape[last], step = op.x.stride[last];
    const auto [begin, end] = covered(range, outputs_of_task(length), op.y.size());
    const T scale = T(op.scale);
    T* const y = op.y.data;
    // Whether the outputs of the last dimension that is kept lie side by side in x. It decides the order of the sums, and shapes
    // of one row must give the same: so of one column, too.
    const bool beside = last > 0 && step != 1 && op.x.stride[last - 1] == 1;
    Walk<const T> walk(op.x, begin, last);
    for (Index i = begin; i < end;) {
        const T* const x = op.x.data + walk.offset;
        if (beside) {
            const Index left = op.x.shape[last - 1] - walk.at[last - 1];
            const Index rest = left < end - i ? left : end - i;
            const Index n = rest < width<T> ? rest : rest < kSideBySide<T> ? width<T> : kSideBySide<T>;
            if (n == kSideBySide<T>)
                sum_columns<T, 4>(x, step, length, width<T>, scale, y + i);
            else
                sum_columns<T, 1>(x, step, length, int(n), scale, y + i);
            walk.next(n);
            i += n;
        } else {
            y[i++] = scale * (step == 1 ? sum_in_a_row(x, length) : sum_apart(x, step, length));
            walk.next();
        }
    }
}

template <class T>
void max_forward(const MaxForward<T>& op, Range range, Scratch) {
    const int last = op.x.ndim - 1;
    const Index length = op.x.shape[last], step = op.x.stride[last];
    const auto [begin, end] = covered(range, outputs_of_task(length), op.y.size());
    Walk<const T> walk(op.x, begin, last);
    for (Index i = begin; i < end; ++i, walk.next()) {
        const T* const x = op.x.data + walk.offset;
        T largest = -T(__builtin_inf());
        Index at = 0;
        if (length > 0) largest = x[0];
        // NaN counts as the largest: no comparison gets past the first.
        for (Index r = 1; r < length; ++r)
            if (!(x[r * step] <= largest) && largest == largest) largest = x[r * step], at = r;
        op.y.data[i] = largest;
        op.largest.data[i] = at;
    }
}

template <class T>
void max_backward(const MaxBackward<T>& op, Range range, Scratch) {
    const Index length = op.dx.cols(), outputs = op.dy.size();
    const auto [begin, end] = covered(range, outputs_of_task(length), outputs);
    Walk<const T> walk(op.dy, begin, op.dy.ndim);
    for (Index i = begin; i < end; ++i, walk.next()) {
        T* const dx = op.dx.data + i * length;
        __builtin_memset(dx, 0, sizeof(T) * std::uint64_t(length));
        const Index at = op.largest.data[i];
        if (at >= 0 && at < length) dx[at] = op.dy.data[walk.offset];
    }
}

}  // namespace

BACKPASS_KERNEL(ReduceSum, reduce_sum)
BACKPASS_KERNEL(MaxForward, max_forward)
BACKPASS_KERNEL(MaxBackward, max_backward)

}  // namespace backpass::BACKPASS_ISA
