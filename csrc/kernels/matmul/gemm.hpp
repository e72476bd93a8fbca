// Matrix products C = A · B for the shapes of training: one micro-kernel under one blocking.
//
// An element of C is a single chain of FMAs over k, in order, for every tile and every blocking. Therefore a row of a forward
// pass has the same bits in a batch of one and in a batch of a thousand.
#pragma once
#include "epilogue.hpp"
#include "pack.hpp"

namespace backpass::BACKPASS_ISA {

// A piece of C of any number of columns; K products an element. B: RowMajor or Transposed.
template <class T, class B>
void gemm(Operand<T> a, const B& b, Output<T> c, const Piece& piece, Index K, const Epilogue<T>& epilogue,
          Scratch scratch);

}  // namespace backpass::BACKPASS_ISA
