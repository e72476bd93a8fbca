// sparse_linear_forward and sparse_linear_backward: the chains of FMAs of linear.cpp, without the zeros.
#include "../ops/sparse_linear.hpp"
#include "kernel.hpp"
#include "matmul/activate.hpp"
#include "matmul/epilogue.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr int kRowVectors = kRegisters == 32 ? 8 : 6;  // vectors of a row of y that are computed at once
constexpr Index kAhead = 8;                            // distance of the prefetch, in nonzeros

template <class T>
struct Nonzeros {
    const Index* columns;
    const T* values;
    Index count;
};

// The nonzeros of row b of the batch; none where cursor, index or starts and ends are out of range.
template <class T>
BP_INLINE Nonzeros<T> nonzeros(const SparseRows<T>& x, Index b) {
    const Index at = wrapping_add(x.cursor.data[0], b), N = x.starts.size(), Z = x.values.size();
    if (std::uint64_t(at) >= std::uint64_t(N)) return {nullptr, nullptr, 0};
    const Index row = x.index.data[at];
    if (std::uint64_t(row) >= std::uint64_t(N)) return {nullptr, nullptr, 0};
    const Index begin = x.starts.data[row], end = x.ends.data[row];
    if (begin < 0 || end > Z || begin >= end) return {nullptr, nullptr, 0};
    return {x.columns.data + begin, x.values.data + begin, end - begin};
}

// f(row, value) for each nonzero with a column in first .. last. `row` is row `column - first` of the matrix, whose leading
// dimension is ld; `some` elements of later rows are prefetched.
template <class T, class U, class F>
BP_INLINE void for_each(const Nonzeros<T>& x, Index first, Index last, U* matrix, Index ld, Index some, F f) {
    for (Index j = 0; j < x.count; ++j) {
        if (j + kAhead < x.count) {
            const Index later = x.columns[j + kAhead];
            if (first <= later && later < last)
                for (Index n = 0; n < some; n += 64 / Index(sizeof(T)))
                    __builtin_prefetch(matrix + (later - first) * ld + n);
        }
        const Index column = x.columns[j];
        if (first <= column && column < last) f(matrix + (column - first) * ld, x.values[j]);
    }
}

// Columns from n on of one row of y. tail: lanes of the last vector.
template <int Vectors, class T>
__attribute__((noinline)) void forward_row(const SparseLinearForward<T>& op, const Nonzeros<T>& x, T* y,
                                           Index n, int tail, const Epilogue<T>& epilogue) {
    constexpr int w = width<T>;
    const auto lanes = [&](int v) BP_INLINED { return v + 1 == Vectors ? tail : w; };
    vec<T> acc[Vectors] = {};
    for_each(x, 0, op.weight.shape[0], op.weight.data + n, op.weight.shape[1], (Vectors - 1) * w + tail,
             [&](const T* weight, T value) BP_INLINED {
#pragma GCC unroll 8
                 for (int v = 0; v < Vectors; ++v)
                     acc[v] = fma(broadcast<T>(value), load_some(weight + v * w, lanes(v)), acc[v]);
             });
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
        const vec<T> bias = bias_of(epilogue, n + v * w, lanes(v));
        store_some(y + n + v * w, biased(acc[v], epilogue, bias), lanes(v));
    }
}

template <class T, int... Vectors>
BP_INLINE auto forward_row_of(int vectors, std::integer_sequence<int, Vectors...>) {
    using Row =
        void (*)(const SparseLinearForward<T>&, const Nonzeros<T>&, T*, Index, int, const Epilogue<T>&);
    static constexpr Row rows[] = {&forward_row<Vectors + 1, T>...};
    return rows[vectors - 1];
}

template <class T>
void sparse_linear_forward(const SparseLinearForward<T>& op, Range range, Scratch) {
    constexpr Index w = width<T>, panel = kRowVectors * w;
    const bool sweep = needs_sweep(op);
    const Epilogue<T> epilogue{.bias = op.bias.data, .relu = !sweep && op.activation == Activation::relu};
    const Index O = op.y.cols();
    const auto [begin, end] = covered(range, op.rows_per_task(), op.y.rows());
    for (Index b = begin; b < end; ++b) {
        const Nonzeros<T> x = nonzeros(op, b);
        T* const y = op.y.data + b * op.y.ld();
        for (Index n = 0; n < O; n += panel) {
            const Index columns = O - n < panel ? O - n : panel;
            const auto row =
                forward_row_of<T>(int((columns + w - 1) / w), std::make_integer_sequence<int, kRowVectors>{});
            row(op, x, y, n, int((columns - 1) % w + 1), epilogue);
        }
        if (sweep)
            activate(op.activation, y, y, op.slope ? op.slope.data + b * op.slope.ld() : nullptr, O,
                     T(op.alpha));
    }
}

template <class T>
void sparse_linear_backward(const SparseLinearBackward<T>& op, Range range, Scratch) {
    // NumPy has arrays of 2^40 empty rows.
    const Index O = op.dweight.cols(), B = O ? op.dy.rows() : 0;
    const auto [begin, end] = covered(range, op.rows_per_task(), op.dweight.rows());
    T* const dweight = op.dweight.data + begin * O;
    if (begin < end) __builtin_memset(dweight, 0, std::size_t(end - begin) * std::size_t(O) * sizeof(T));
    for (Index b = 0; b < B; ++b) {
        const T* const dy = op.dy.data + b * op.dy.ld();
        for_each(nonzeros(op, b), begin, end, dweight, O, O, [&](T* row, T value) BP_INLINED {
            each_vector<T>(O, [&](Index n, int lanes) BP_INLINED {
                store_some(row + n,
                           fma(broadcast<T>(value), load_some(dy + n, lanes), load_some(row + n, lanes)),
                           lanes);
            });
        });
    }
    if (range.begin == 0 && op.dbias) bias_gradient(op.dy, op.dbias.data, 0, O);
}

}  // namespace

BACKPASS_KERNEL(SparseLinearForward, sparse_linear_forward)
BACKPASS_KERNEL(SparseLinearBackward, sparse_linear_backward)

}  // namespace backpass::BACKPASS_ISA
