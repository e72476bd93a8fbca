// Matrix products of tensors: gemm for one matrix after another.
#include "../ops/matmul.hpp"
#include "kernel.hpp"
#include "matmul/gemm.hpp"
#include "matmul/pieces.hpp"
#include "vector/strides.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// A matrix of a tensor, or its transpose.
template <class T>
struct Matrix {
    const T* data;
    Layout layout;

    BP_INLINE Matrix transposed() const { return {data, {layout.cols, layout.rows, layout.col, layout.row}}; }
};

// Matrix number i of a tensor.
template <class T>
BP_INLINE Matrix<T> matrix_of(const Strided<const T>& a, Index i) {
    const Walk<const T> walk(a, i, a.ndim - 2);
    return {a.data + walk.offset, Layout::of(a)};
}

// A piece of C = A B.
template <class T>
BP_INLINE void multiply(Matrix<T> a, Matrix<T> b, T* c, Piece piece, Scratch scratch) {
    const Operand<T> left{a.data, a.layout.row, a.layout.col};
    const Output<T> out{c, b.layout.cols};
    if (b.layout.in_rows())
        gemm(left, RowMajor<T>{b.data, b.layout.row}, out, piece, a.layout.cols, Epilogue<T>{}, scratch);
    else
        gemm(left, Transposed<T>{b.data, b.layout.col}, out, piece, a.layout.cols, Epilogue<T>{}, scratch);
}

// Tasks of the products of many matrices: `product(i)` gives the operands and C of matrix i.
template <class T, class Product>
BP_INLINE void multiply_all(const Grid& grid, Range tasks, Scratch scratch, Product product) {
    const Index each = grid.tasks();
    while (tasks.begin < tasks.end) {
        const Index i = tasks.begin / each, left = (i + 1) * each;
        const Range own{tasks.begin - i * each, (tasks.end < left ? tasks.end : left) - i * each};
        const auto [a, b, c] = product(i);
        each_piece<T>(grid, own, *scratch.caches,
                      [&](const Piece& piece) { multiply<T>(a, b, c, piece, scratch); });
        tasks.begin = left;
    }
}

template <class T>
struct Operands {
    Matrix<T> a, b;
    T* c;
};

template <class T>
void matmul_forward(const MatmulForward<T>& op, Range range, Scratch scratch) {
    const Index size = op.y.shape[op.y.ndim - 2] * op.y.shape[op.y.ndim - 1];
    multiply_all<T>(op.grid(), range, scratch, [&](Index i) BP_INLINED {
        return Operands<T>{matrix_of(op.a, i), matrix_of(op.b, i), op.y.data + i * size};
    });
}

template <class T>
void matmul_backward(const MatmulBackward<T>& op, Range range, Scratch scratch) {
    const Index tasks = op.a_tasks();
    if (op.da) {
        const Index size = op.da.shape[op.da.ndim - 2] * op.da.shape[op.da.ndim - 1];
        const Range own{range.begin, range.end < tasks ? range.end : tasks};
        multiply_all<T>(op.a_grid(), own, scratch, [&](Index i) BP_INLINED {
            return Operands<T>{matrix_of(op.dy, i), matrix_of(op.b, i).transposed(), op.da.data + i * size};
        });
    }
    if (op.db) {
        const Index size = op.db.shape[op.db.ndim - 2] * op.db.shape[op.db.ndim - 1];
        const Range own{range.begin > tasks ? range.begin - tasks : 0, range.end - tasks};
        multiply_all<T>(op.b_grid(), own, scratch, [&](Index i) BP_INLINED {
            return Operands<T>{matrix_of(op.a, i).transposed(), matrix_of(op.dy, i), op.db.data + i * size};
        });
    }
}

}  // namespace

BACKPASS_KERNEL(MatmulForward, matmul_forward)
BACKPASS_KERNEL(MatmulBackward, matmul_backward)

}  // namespace backpass::BACKPASS_ISA
