// Ring 0: what an op struct is. Its fields() visits every field by its Python name: the only list of them.
#pragma once
#include "types.hpp"

namespace backpass {

// Whether the caller may leave an array out (the `?` of the shape string).
enum class Need { required, optional };
inline constexpr Need optional = Need::optional;

// Whether the rows of a matrix may lie apart, so that they do not share a few sets of a cache (Op.apart in Python).
enum class Rows { together, apart };
inline constexpr Rows apart = Rows::apart;

// "mean" divides by the sum of the weights (and the number of outputs, if they are not classes), "sum" by nothing,
// "batchmean" by the weights alone.
enum class Reduction { mean, sum, batchmean };
inline constexpr const char* kReductionNames[] = {"mean", "sum", "batchmean"};

// Checks that invalid() is made of: each returns whether the shapes agree; absent optional arrays agree with
// everything.
template <class A, class B>
bool same_size(const A& a, const B& b) {
    return !a || !b || a.size() == b.size();
}
template <class A>
bool has_size(const A& a, std::int64_t size) {
    return !a || a.size() == size;
}
template <class... Arrays>
bool all_have_size(std::int64_t size, const Arrays&... arrays) {
    return (has_size(arrays, size) && ...);
}
template <class A>
bool is_matrix(const A& a, std::int64_t rows, std::int64_t cols) {
    return !a || (a.rows() == rows && a.cols() == cols);
}

// Elements, rows or columns that make one task: large enough to pay for itself, and the same for any number
// of threads.
BP_INLINE std::int64_t pieces(std::int64_t size, std::int64_t piece) {
    return size == 0 ? 0 : (size + piece - 1) / piece;
}
// The rows of `cols` elements that make a piece; at least one.
BP_INLINE std::int64_t rows_of(std::int64_t piece, std::int64_t cols) {
    return cols >= piece || cols == 0 ? 1 : piece / cols;
}

}  // namespace backpass
