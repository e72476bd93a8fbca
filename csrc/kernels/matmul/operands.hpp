// The operands of a product, and the part of C that is computed. gemm.cpp and tiles.cpp know them by name: they are in no
// anonymous namespace.
#pragma once
#include "sizes.hpp"

namespace backpass::BACKPASS_ISA {

// A(m, k) = data[m * row + k * step]; one of row and step is 1.
template <class T>
struct Operand {
    const T* data;
    Index row, step;
};

// C, row-major: element (m, n) is data[m * ld + n].
template <class T>
struct Output {
    T* data;
    Index ld;
    bool adds = false;  // the chains go on from what C is
};

// Rows m0 .. m1 and columns n0 .. n1 of a product.
struct Piece {
    Index m0, m1, n0, n1;
};

// B, row-major: element (k, n) is data[k * ld + n]. If B's strides or size would thrash the cache, the first tiles pack it.
template <class T>
struct RowMajor {
    const T* data;
    Index ld;

    BP_INLINE const T* at(Index k, Index n) const { return data + k * ld + n; }
};

// B = Wᵀ for a row-major W: element (k, n) is data[n * ld + k]. Always packed, by transposing squares in registers.
template <class T>
struct Transposed {
    const T* data;
    Index ld;
};

}  // namespace backpass::BACKPASS_ISA
