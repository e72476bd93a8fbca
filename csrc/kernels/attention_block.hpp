// The products of attention: operands of one head by its strides, and products over the keys that take part.
#pragma once
#include "../ops/attention.hpp"
#include "matmul/gemm.hpp"
#include "vector/philox.hpp"
#include "vector/sums.hpp"
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Behind what the products pack: two blocks of scores, which keys a block uses, and random words.
template <class T>
struct Working {
    T *scores, *used;
    Word* words;

    static constexpr std::size_t kPacked = std::size_t(kPackedElements<T>) * sizeof(T);
    static constexpr std::size_t kUsed = std::size_t(kMostKeys + width<T>) * sizeof(T);
    static constexpr std::size_t kWords =
        std::size_t(kMostKeys + 2 * kDrawBlock + width<Word>) * sizeof(Word);
    static_assert(kPacked % 64 == 0 && kPacked + kScoreBytes + kUsed + kWords <= kScratchBytes);
    static_assert(2 * (kMostKeys + 16) * Index(sizeof(T)) <= kScoreBytes, "two rows of scores fit");

    BP_INLINE explicit Working(Scratch scratch) {
        char* const at = static_cast<char*>(scratch.data) + kPacked;
        scores = reinterpret_cast<T*>(at);
        used = reinterpret_cast<T*>(at + kScoreBytes);
        words = reinterpret_cast<Word*>(at + kScoreBytes + kUsed);
    }
};

struct Head {
    Index b, h;
};
BP_INLINE Head head_of(const AttentionShape& s, Index task) { return {task / s.heads, task % s.heads}; }

BP_INLINE Index between(Index count, Index most) { return count < 0 ? 0 : count < most ? count : most; }

// How many keys of a sample count.
BP_INLINE Index keys_of(const Tensor<const std::int64_t>& lengths, Index keys, Index b) {
    return lengths ? between(lengths.data[b], keys) : keys;
}

// ---- operands: (B, T, heads, D) ---------------------------------------------------------------------------

template <class T>
BP_INLINE T* at_head(const Strided<T>& a, Index i, Index j, Index k) {
    return a.data + i * a.stride[0] + j * a.stride[1] + k * a.stride[2];
}
template <class T>
BP_INLINE Operand<T> rows_of_head(const Strided<const T>& a, Head head, Index row) {
    return {at_head(a, head.b, row, head.h), a.stride[1], 1};
}
template <class T>
BP_INLINE Transposed<T> columns_of_head(const Strided<const T>& a, Head head, Index row = 0) {
    return {at_head(a, head.b, row, head.h), a.stride[1]};
}
template <class T>
BP_INLINE RowMajor<T> rows_of_values(const Strided<const T>& a, Head head, Index row = 0) {
    return {at_head(a, head.b, row, head.h), a.stride[1]};
}
template <class T>
BP_INLINE Output<T> output_of(const Strided<T>& a, Head head, Index row) {
    return {at_head(a, head.b, row, head.h), a.stride[1]};
}

// ---- rows -------------------------------------------------------------------------------------------------

template <class T>
BP_INLINE void fill_zero(T* row, Index begin, Index end) {
    each_vector<T>(Range{begin, end}, [&](Index i, int n) BP_INLINED { store_some(row + i, vec<T>{}, n); });
}
template <class T>
BP_INLINE void zero_rows(Output<T> out, Index begin, Index end, Index columns) {
    for (Index r = begin; r < end; ++r) fill_zero<T>(out.data + r * out.ld, 0, columns);
}

// Which keys a block of queries uses: those at which any row is not 0.
template <class T>
BP_INLINE void forget(T* used, Index keys) {
    fill_zero<T>(used, 0, keys);
}
template <class T>
BP_INLINE void note_used(T* used, vec<T> row, int n) {
    store_some(used, select(row == T(0), load_some(used, n), broadcast<T>(1)), n);
}

// ---- products ---------------------------------------------------------------------------------------------

// C = A B over `keys`; with `used` over the keys that take part, because 0 times NaN would be NaN.
template <class T>
BP_INLINE void multiply_used(Operand<T> a, RowMajor<T> b, Output<T> c, Index rows, Index columns, Index keys,
                             const T* used, Scratch scratch) {
    const Piece piece{0, rows, 0, columns};
    if (!used) return gemm(a, b, c, piece, keys, Epilogue<T>{}, scratch);
    Index key = 0;
    for (bool first = true; first || key < keys; first = false) {
        while (key < keys && used[key] == T(0)) ++key;
        // What is added to C takes one pass over k.
        const Index most = first || keys - key < kBlockK ? keys : key + kBlockK;
        Index end = key;
        while (end < most && used[end] != T(0)) ++end;
        if (end == key && !first) break;
        const Operand<T> part{a.data + key * a.step, a.row, a.step};
        const RowMajor<T> below{b.data + key * b.ld, b.ld};
        if (first)
            gemm(part, below, c, piece, end - key, Epilogue<T>{}, scratch);
        else
            gemm(part, below, c, piece, end - key, Epilogue<T>{.added = c.data, .ld = c.ld}, scratch);
        key = end;
    }
}

// Rows of C = A B, which are added to those below `before`, and written to the others.
template <class T>
BP_INLINE void add_product(Operand<T> a, RowMajor<T> b, Output<T> c, Index before, Index rows, Index columns,
                           Index terms, Scratch scratch) {
    const Index old = before < rows ? before : rows;
    gemm(a, b, c, Piece{0, old, 0, columns}, terms, Epilogue<T>{.added = c.data, .ld = c.ld}, scratch);
    gemm(a, b, c, Piece{old, rows, 0, columns}, terms, Epilogue<T>{}, scratch);
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
