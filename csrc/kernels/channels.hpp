// Loops of normalisations: over neighbouring channels in vectors, or along one channel of (B, C, L).
#pragma once
#include "vector/sums.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// f(Vectors<K>, c, n) for each group of channels: K vectors at c, of n lanes each.
template <int K>
struct Vectors {
    static constexpr int count = K;
};
template <class T, class F>
BP_INLINE void each_channel_group(Range range, F f) {
    constexpr int w = width<T>;
    auto [c, end] = range;
    for (; c + 4 * w <= end; c += 4 * w) f(Vectors<4>{}, c, w);
    for (; c + w <= end; c += w) f(Vectors<1>{}, c, w);
    if (c < end) f(Vectors<1>{}, c, int(end - c));
}

// N sums over rows for K vectors of channels, for accuracy in parts of rows; several rows side by side where K is small, so that
// one addition need not wait for the other. add(b, part) adds row b.
template <class T, int K, int N, class F>
BP_INLINE void sum_rows_apart(Range rows, vec<T> (&total)[N], F add) {
    constexpr int U = K < 4 ? 4 : 1;
    const Index blocks = (rows.end - rows.begin) / U;
    vec<T> apart[U * N] = {};
    sum_rows<T>(blocks, kRowsOfSum, apart, [&](Index b, vec<T>* part) BP_INLINED {
        for (int u = 0; u < U; ++u) add(rows.begin + b * U + u, part + u * N);
    });
    for (Index b = rows.begin + blocks * U; b < rows.end; ++b) add(b, apart);
    for (int u = 0; u < U; ++u)
        for (int i = 0; i < N; ++i) total[i] += apart[u * N + i];
}

struct Shape {
    Index rows, channels, length;
};
template <class T>
BP_INLINE Shape shape_of(const Tensor<T>& x) {
    // Zero rows if they are empty: NumPy has arrays of 2^40 empty rows.
    return {x.size() > 0 ? x.shape[0] : 0, x.shape[1], x.shape[2]};
}

// f(i, n) for each vector of channel c: n elements at i.
template <class T, class F>
BP_INLINE void along_channel(Shape shape, Index c, F f) {
    for (Index b = 0; b < shape.rows; ++b) {
        const Index at = (b * shape.channels + c) * shape.length;
        each_vector<T>(shape.length, [&](Index l, int n) BP_INLINED { f(at + l, n); });
    }
}

// sums[k] = Σ f_k(i, n) over channel c, lane by lane.
template <class T, class... F>
BP_INLINE void sum_channel(Shape shape, Index c, vec<T> (&sums)[sizeof...(F)], F... f) {
    sum_rows<T>(shape.rows, 1 + kRowsOfSum / (shape.length + 1), sums, [&](Index b, vec<T>* part) BP_INLINED {
        const Index at = (b * shape.channels + c) * shape.length;
        ((*part++ += sum_vectors<T>(shape.length, [&](Index l, int n) BP_INLINED { return f(at + l, n); })),
         ...);
    });
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
