// Operations between the lanes of vectors: shuffles, sums, maxima, the transpose of a square.
#pragma once
#include "simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Lane i of the result is lane Pick::at(i) of the concatenation of a and b.
template <class Pick, class V, int... I>
BP_INLINE auto shuffle(V a, V b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, Pick::at(I)...);
}
template <class Pick, class V, int Lanes = sizeof(V) / sizeof(lane<V>)>
BP_INLINE auto shuffle(V a, V b) {
    return shuffle<Pick>(a, b, std::make_integer_sequence<int, Lanes>{});
}

template <int Shift>
struct From {
    static constexpr int at(int i) { return i + Shift; }
};

// Combine halves until one lane is left, in an order that is fixed.
template <class V, class Op>
BP_INLINE lane<V> reduce(V v, Op op) {
    constexpr int lanes = sizeof(V) / sizeof(lane<V>), half = lanes / 2;
    if constexpr (lanes == 2) {
        return op(v, shuffle<From<1>>(v, v))[0];
    } else if constexpr (sizeof(V) > 16) {
        return reduce(op(shuffle<From<0>, V, half>(v, v), shuffle<From<half>, V, half>(v, v)), op);
    } else {
        v = op(v, shuffle<From<2>>(v, v));
        return op(v, shuffle<From<1>>(v, v))[0];
    }
}
template <class V>
BP_INLINE lane<V> sum(V v) {
    return reduce(v, [](auto a, auto b) BP_INLINED { return a + b; });
}
template <class V>
BP_INLINE lane<V> reduce_max(V v) {  // any number, if a lane is NaN
    return reduce(v, [](auto a, auto b) BP_INLINED { return a > b ? a : b; });
}

// Interleave groups of G lanes inside each 16 bytes, from the low or the high halves (unpack).
template <int G, int Lane16, int Half, int Width>
struct Zip {
    static constexpr int at(int i) {
        const int in = i % Lane16, group = in / G;
        return (i - in) + Half * (Lane16 / 2) + group / 2 * G + in % G + group % 2 * Width;
    }
};
// Take the even or the odd groups of 16 bytes of two vectors.
template <int Lane16, int Odd>
struct Unzip {
    static constexpr int at(int i) { return (i / Lane16 * 2 + Odd) * Lane16 + i % Lane16; }
};

// Transpose every in x in lanes, those of 16 bytes of `in` vectors.
template <class T>
BP_INLINE void transpose_blocks(const vec<T>* rows, vec<T>* to) {
    constexpr int n = width<T>;
    if constexpr (sizeof(T) == 4) {
        using Low = Zip<1, 4, 0, n>;
        using High = Zip<1, 4, 1, n>;
        const vec<T> a = shuffle<Low>(rows[0], rows[1]), b = shuffle<High>(rows[0], rows[1]);
        const vec<T> c = shuffle<Low>(rows[2], rows[3]), d = shuffle<High>(rows[2], rows[3]);
        to[0] = shuffle<Zip<2, 4, 0, n>>(a, c);
        to[1] = shuffle<Zip<2, 4, 1, n>>(a, c);
        to[2] = shuffle<Zip<2, 4, 0, n>>(b, d);
        to[3] = shuffle<Zip<2, 4, 1, n>>(b, d);
    } else {
        to[0] = shuffle<Zip<1, 2, 0, n>>(rows[0], rows[1]);
        to[1] = shuffle<Zip<1, 2, 1, n>>(rows[0], rows[1]);
    }
}

// Transpose width x width lanes, rows[i][j] <-> rows[j][i], in log2(width) steps of one shuffle a row.
template <class T>
BP_INLINE void transpose(vec<T>* rows) {
    constexpr int n = width<T>, in = 16 / int(sizeof(T)), across = n / in;
    vec<T> t[n];
    for (int r = 0; r < n; r += in) transpose_blocks<T>(rows + r, t + r);
    for (int c = 0; c < in; ++c) {  // then the 16-byte blocks
        if constexpr (across == 4) {
            using Even = Unzip<in, 0>;
            using Odd = Unzip<in, 1>;
            const vec<T> a = shuffle<Even>(t[c], t[c + in]), b = shuffle<Odd>(t[c], t[c + in]);
            const vec<T> d = shuffle<Even>(t[c + 2 * in], t[c + 3 * in]),
                         e = shuffle<Odd>(t[c + 2 * in], t[c + 3 * in]);
            rows[c] = shuffle<Even>(a, d);
            rows[c + in] = shuffle<Even>(b, e);
            rows[c + 2 * in] = shuffle<Odd>(a, d);
            rows[c + 3 * in] = shuffle<Odd>(b, e);
        } else if constexpr (across == 2) {
            rows[c] = shuffle<Unzip<in, 0>>(t[c], t[c + in]);
            rows[c + in] = shuffle<Unzip<in, 1>>(t[c], t[c + in]);
        } else {
            rows[c] = t[c];
        }
    }
}

// columns[i] = column i of width x width numbers, whose rows are ld apart. The loads put the blocks into their places, so that half of
// the shuffles of transpose() are left.
template <class T>
BP_INLINE void load_transposed(const T* from, Index ld, vec<T>* columns) {
    constexpr int n = width<T>, in = 16 / int(sizeof(T));
    vec<T> t[n];
    // All blocks of some rows before those of others: rows may share a set of the cache.
    for (int r = 0; r < in; ++r, from = walked(from + ld))
        for (int c = 0; c < n; c += in) t[c + r] = load_blocks(from + c, in * ld);
    for (int c = 0; c < n; c += in) transpose_blocks<T>(t + c, columns + c);
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
