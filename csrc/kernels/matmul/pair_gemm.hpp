// Matrix products C = A · B of float32 through bfloat16, at a precision that the user has chosen.
#pragma once
#include "../../ops/linear.hpp"
#include "epilogue.hpp"
#include "operands.hpp"

namespace backpass::BACKPASS_ISA {

// A piece of C as gemm() computes it, but from operands rounded to bfloat16: to one number each, or to sums of two or three. A block of k
// is one chain, and C the sum of its blocks; the blocks depend on K, the precision and the unit alone. With sums of two or three, rows of A and
// columns of B that have inf, NaN or what rounds to inf are computed in float32: the parts of such a number would not add up to it.
template <class B>
void pair_gemm(Rounding rounding, Operand<float> a, const B& b, Output<float> c, const Piece& piece, Index K,
               const Epilogue<float>& epilogue, Scratch scratch);

}  // namespace backpass::BACKPASS_ISA
