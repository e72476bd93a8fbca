// Positions of an index sorted by the rows that they choose, and sums of gradients over them.
#pragma once
#include "kernel.hpp"
#include "vector/strides.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

BP_INLINE bool inside(Index at, Index size) { return std::uint64_t(at) < std::uint64_t(size); }

// Bits of a row by which one pass of the sort goes: its counts fit into the L1 cache.
inline constexpr int kDigit = 11;

// Sorts the n keys in `from` by their bits from `shift` on, of which `bits` differ; `to` is as large. Returns where they are.
BP_INLINE Index* sorted_keys(Index* from, Index* to, Index n, int shift, int bits, Index* starts) {
    const int passes = (bits + kDigit - 1) / kDigit, digit = passes > 0 ? (bits + passes - 1) / passes : 0;
    const Index mask = (Index(1) << digit) - 1;
    for (int pass = 0; pass < passes; ++pass, shift += digit) {
        __builtin_memset(starts, 0, sizeof(Index) * std::size_t(mask + 1));
        for (Index i = 0; i < n; ++i) ++starts[(from[i] >> shift) & mask];
        Index sum = 0;
        for (Index d = 0; d <= mask; ++d) {
            const Index here = starts[d];
            starts[d] = sum;
            sum += here;
        }
        for (Index i = 0; i < n; ++i) {
            const Index key = from[i], place = starts[(key >> shift) & mask]++;
            if (place < n) to[place] = key;  // always, unless both arrays are one
        }
        Index* const other = from;
        from = to, to = other;
    }
    return from;
}

// A key is a row and a position in one number: sorted by rows, positions stay in their order.
template <class Op>
BP_INLINE void sort_by_rows(const Op& op, Scratch scratch) {
    const Index total = op.index.size(), rows = op.weight.rows();
    const int shift = bits_below(total);
    Index* const order = op.order.data;
    Index* const keys = op.rows.data;
    Index n = 0;
    each_run(op.index, 0, total, [&](Index offset, Index step, Index i, Index count) BP_INLINED {
        for (Index k = 0; k < count; ++k) {
            const Index at = op.index.data[offset + k * step];
            if (inside(at, rows) && at != op.padding_idx) order[n++] = (at << shift) | (i + k);
        }
    });
    const Index* const sorted =
        sorted_keys(order, keys, n, shift, bits_below(rows), static_cast<Index*>(scratch.data));
    Index runs = 0, last = -1;
    for (Index i = 0; i < n; ++i) {
        const Index key = sorted[i], at = key >> shift;
        order[i] = key & ((Index(1) << shift) - 1);
        if (at == last) continue;
        if (runs > 0) op.ends.data[runs - 1] = i;
        op.rows.data[runs++] = last = at;
    }
    if (runs > 0) op.ends.data[runs - 1] = n;
    for (Index i = n; i < total; ++i) order[i] = -1;
    for (Index i = runs; i < total; ++i) op.rows.data[i] = -1, op.ends.data[i] = 0;
    op.count.data[0] = runs;
}

// The first k below n with rows[k] >= row.
BP_INLINE Index first_from(const Index* rows, Index n, Index row) {
    Index low = 0;
    while (low < n) {
        const Index middle = low + (n - low) / 2;
        if (rows[middle] < row)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

// to = sum over the positions of run k of what load(position) gives; load(position)(c, n) is n columns from c on, as a vector.
template <class T, class Op, class Load>
BP_INLINE void sum_run(const Op& op, Index k, T* to, Index columns, Load load) {
    constexpr int w = width<T>;
    const Index size = op.order.size();
    Index begin = k > 0 ? op.ends.data[k - 1] : 0, end = op.ends.data[k];
    if (begin < 0) begin = 0;
    if (end > size) end = size;
    const Index* const order = op.order.data;
    Index c = 0;
    for (; c + 4 * w <= columns; c += 4 * w) {
        vec<T> a{}, b{}, d{}, e{};
        for (Index i = begin; i < end; ++i)
            load(order[i], [&](auto piece) BP_INLINED {
                a += piece(c, w), b += piece(c + w, w), d += piece(c + 2 * w, w), e += piece(c + 3 * w, w);
            });
        store(to + c, a), store(to + c + w, b), store(to + c + 2 * w, d), store(to + c + 3 * w, e);
    }
    each_vector<T>(Range{c, columns}, [&](Index at, int n) BP_INLINED {
        vec<T> sum{};
        for (Index i = begin; i < end; ++i)
            load(order[i], [&](auto piece) BP_INLINED { sum += piece(at, n); });
        store_some(to + at, sum, n);
    });
}

// All sums of an op (SumsOfRows).
template <class T, class Op, class Load>
BP_INLINE void sum_rows(const Op& op, Range range, Load load) {
    const Index found = op.count.data[0], size = op.rows.size(), n = found < size ? found : size;
    const Index dense = op.tasks_of(op.dweight), columns = op.columns();
    if (range.begin < dense) {
        const Range tasks{range.begin, range.end < dense ? range.end : dense};
        const auto [begin, end] = covered(tasks, op.rows_per_task(op.dweight), op.dweight.rows());
        T* const dweight = op.dweight.data;
        __builtin_memset(dweight + begin * columns, 0, sizeof(T) * std::size_t((end - begin) * columns));
        for (Index k = first_from(op.rows.data, n, begin); k < n && op.rows.data[k] < end; ++k)
            if (const Index row = op.rows.data[k]; row >= begin)
                sum_run(op, k, dweight + row * columns, columns, load);
    }
    if (range.end > dense && op.drows) {
        const Range tasks{range.begin > dense ? range.begin - dense : 0, range.end - dense};
        const auto [begin, end] = covered(tasks, op.rows_per_task(op.drows), op.drows.rows());
        for (Index k = begin; k < end; ++k) {
            T* const to = op.drows.data + k * columns;
            if (k < n)
                sum_run(op, k, to, columns, load);
            else
                __builtin_memset(to, 0, sizeof(T) * std::size_t(columns));
        }
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
