// What an op struct is made of: its fields, the checks of their shapes, and the cut into tasks.
//
// An op's fields() visits every field by its Python name; no other list of the fields exists.
#pragma once
#include "types.hpp"

namespace backpass {

// ---- fields -----------------------------------------------------------------------------------------------

// Whether the caller may leave an array out (the `?` of the shape string).
enum class Need { required, optional };
inline constexpr Need optional = Need::optional;

// Whether the rows of a matrix may be padded: separated by a gap, so that they spread over the sets of a cache
// (Op.padded_rows in Python).
enum class Rows { contiguous, padded };
inline constexpr Rows padded = Rows::padded;

// ---- checks of shapes -------------------------------------------------------------------------------------

// invalid() is made of these. An optional array that is absent agrees with every shape.
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
// The rows along the first dimension, if all arrays have as many; else 0. An array that is absent has any number.
template <class A, class... Arrays>
std::int64_t shared_rows(const A& a, const Arrays&... arrays) {
    if (a.ndim == 0) return 0;
    const bool shared = ((!arrays || (arrays.ndim > 0 && arrays.shape[0] == a.shape[0])) && ...);
    return shared ? a.shape[0] : 0;
}
template <class A>
bool is_matrix(const A& a, std::int64_t rows, std::int64_t cols) {
    return !a || (a.rows() == rows && a.cols() == cols);
}
template <class A, class B>
bool same_shape(const A& a, const B& b) {
    if (!a || !b) return true;
    for (int i = 0; i < a.ndim && i < b.ndim; ++i)
        if (a.shape[i] != b.shape[i]) return false;
    return a.ndim == b.ndim;
}

// A size or a step: products of two of these do not overflow, even if they are forged.
BP_INLINE bool is_size(std::int64_t value, std::int64_t least) {
    return least <= value && value < std::int64_t(1) << 30;
}

// ---- tasks ------------------------------------------------------------------------------------------------

// A task is a piece of an op's elements, rows or channels: large enough to pay for itself. Shapes alone decide the cut,
// so that results are the same for any number of threads.
BP_INLINE std::int64_t pieces(std::int64_t size, std::int64_t piece) {
    return size == 0 ? 0 : (size + piece - 1) / piece;
}
// Rows of `cols` elements that make a piece; at least one.
BP_INLINE std::int64_t rows_of(std::int64_t piece, std::int64_t cols) {
    return cols >= piece || cols == 0 ? 1 : piece / cols;
}

// Pieces that several families share.
// Elements: a multiple of 64, the block of a random draw.
inline constexpr std::int64_t kElementPiece = 16384;
// Parameters: also the chunk of a partial sum of squares.
inline constexpr std::int64_t kUpdatePiece = 16384;
// Channels: whole cache lines where L is 1.
inline constexpr std::int64_t kChannelPiece = 64;

// An op on a few numbers: one task, whose cost is not worth counting.
struct SmallOp {
    double flops() const { return 0; }
    double bytes() const { return 0; }
    BP_INLINE std::int64_t tasks() const { return 1; }
};

// ---- lists of ops -----------------------------------------------------------------------------------------

// Each family header ends with its list; ops.hpp adds the lists up.
template <class... Ops>
struct OpList {};

// One op for each dtype that a model may have.
template <template <class> class... Op>
using BothDtypes = OpList<Op<float>..., Op<double>...>;

template <class... A, class... B>
OpList<A..., B...> operator+(OpList<A...>, OpList<B...>);

}  // namespace backpass
