// linear_forward and linear_backward: three matrix products, with bias, activation and slope in their epilogues.
#include "kernel.hpp"
#include "matmul/activate.hpp"
#include "matmul/epilogue.hpp"
#include "matmul/gemm.hpp"
#include "matmul/skip_zeros.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Rows m0 .. m1 and columns n0 .. n1 of a product.
struct Piece {
    Index m0, m1, n0, n1;
};
constexpr Index kPieceColumns = 256;  // columns

// The share of the first of some tasks, and of those behind it in one row of the grid: a thread that has them all reads A once.
// With all_rows also of whole rows of tasks below: it reads B once.
BP_INLINE Piece next_piece(const Grid& grid, Range& tasks, bool all_rows = false) {
    const Index r = tasks.begin / grid.cols, c = tasks.begin % grid.cols;
    const Index left = tasks.end - tasks.begin, most = grid.cols - c < left ? grid.cols - c : left;
    Index count = 1;
    while (count < most && (count + 1) * grid.piece <= kPieceColumns) ++count;
    const Index rows = all_rows && count == grid.cols ? left / grid.cols : 1;
    tasks.begin += rows * count;
    const Index n0 = c * grid.piece, n1 = n0 + count * grid.piece;
    return {r * grid.m / grid.rows, (r + rows) * grid.m / grid.rows, n0, n1 < grid.n ? n1 : grid.n};
}

// Few columns would leave most lanes idle: they are computed transposed, piece by piece, and turned back into rows of out, which
// are ld apart. product(from, to, c): columns [from, to) of the transposed product, `columns` x (to - from), into c.
constexpr Index kTransposedPiece = 128;
template <class T, class Product>
BP_INLINE void transposed_product(Index from, Index to, Index columns, T* out, Index ld, Scratch scratch,
                                  Product product) {
    T* const c = static_cast<T*>(scratch.data) + kPackedElements<T>;
    for (Index begin = from; begin < to; begin += kTransposedPiece) {
        const Index end = to - begin < kTransposedPiece ? to : begin + kTransposedPiece;
        product(begin, end, c);
        for (Index i = begin; i < end; ++i)
            for (Index j = 0; j < columns; ++j) out[i * ld + j] = c[j * kTransposedPiece + i - begin];
    }
}

template <class T>
void linear_forward(const LinearForward<T>& op, Range range, Scratch scratch) {
    const Grid grid = op.grid();
    const Index I = op.x.cols(), O = op.y.cols();
    const bool sweep =
        op.slope || (op.activation != Activation::identity && op.activation != Activation::relu);
    const Biased<T> epilogue{op.bias.data, !sweep && op.activation == Activation::relu};
    const bool narrow = O <= width<T> / 4, sparse = !narrow && sparse_in_rows(op.x, O);
    while (range.begin < range.end) {
        const Piece s = next_piece(grid, range, sparse);
        const Operand<T> x{op.x.data, op.x.ld(), 1};
        if (narrow)  // yᵀ = weightᵀ xᵀ
            transposed_product(s.m0, s.m1, O, op.y.data, op.y.ld(), scratch,
                               [&](Index from, Index to, T* c) BP_INLINED {
                                   gemm(Operand<T>{op.weight.data, 1, O}, Transposed<T>{op.x.data, op.x.ld()},
                                        c - from, kTransposedPiece, 0, O, from, to, I,
                                        BiasedRows<T>{epilogue.bias, epilogue.relu}, scratch);
                               });
        else if (!sparse || !sparse_gemm(x, op.weight.data, O, op.y.data, op.y.ld(), s.m0, s.m1, s.n0, s.n1,
                                         I, epilogue, scratch))
            gemm(x, RowMajor<T>{op.weight.data, O}, op.y.data, op.y.ld(), s.m0, s.m1, s.n0, s.n1, I, epilogue,
                 scratch);
        if (sweep)
            for (Index m = s.m0; m < s.m1; ++m) {
                T* y = op.y.data + m * op.y.ld() + s.n0;
                T* slope = op.slope ? op.slope.data + m * op.slope.ld() + s.n0 : nullptr;
                activate(op.activation, y, y, slope, s.n1 - s.n0, T(op.alpha));
            }
    }
}

// How many of the last columns of dweight are computed transposed: where it pays, as measured.
template <class T>
BP_INLINE Index transposed_columns(Index B, Index I, Index O) {
    const Index rest = O % width<T>;
    if (O < width<T>) return rest <= width<T> * 3 / 4 ? rest : 0;
    const bool pays = O > 2 * width<T> && O <= 16 * width<T> && I >= width<T> && B >= 16;
    return pays && rest <= width<T> / 2 ? rest : 0;
}

// A piece of dweight (I, O) = xᵀ dy: x is read down its columns, no transpose.
template <class T>
BP_INLINE void weight_gradient(const LinearBackward<T>& op, Piece s, bool sparse, Scratch scratch) {
    const Index B = op.x.rows(), I = op.x.cols(), O = op.dy.cols();
    const Operand<T> x{op.x.data, 1, op.x.ld()};
    if (sparse && sparse_gemm(x, op.dy.data, op.dy.ld(), op.dweight.data, O, s.m0, s.m1, s.n0, s.n1, B,
                              Biased<T>{nullptr, false}, scratch))
        return;
    const Index middle = s.n1 == O ? O - transposed_columns<T>(B, I, O) : s.n1;
    if (s.n0 < middle)
        gemm(x, RowMajor<T>{op.dy.data, op.dy.ld()}, op.dweight.data, O, s.m0, s.m1, s.n0, middle, B, Plain{},
             scratch);
    if (middle < s.n1)  // dweightᵀ = dyᵀ x
        transposed_product(s.m0, s.m1, O - middle, op.dweight.data + middle, O, scratch,
                           [&](Index from, Index to, T* c) BP_INLINED {
                               gemm(Operand<T>{op.dy.data + middle, 1, op.dy.ld()},
                                    RowMajor<T>{op.x.data, op.x.ld()}, c - from, kTransposedPiece, 0,
                                    O - middle, from, to, B, Plain{}, scratch);
                           });
}

template <class T>
void linear_backward(const LinearBackward<T>& op, Range range, Scratch scratch) {
    const Grid weights = op.weight_grid(), inputs = op.input_grid();
    const Index O = op.dy.cols(), tasks = weights.tasks();
    Range first{range.begin, range.end < tasks ? range.end : tasks};
    const bool sparse = first.begin < first.end && sparse_in_columns(op.x, O);
    while (first.begin < first.end) {
        const Piece s = next_piece(weights, first, sparse);
        weight_gradient(op, s, sparse, scratch);
        if (s.m0 == 0 && op.dbias) bias_gradient(op.dy, op.dbias.data, s.n0, s.n1);
    }
    Range rest{range.begin > tasks ? range.begin - tasks : 0, range.end - tasks};
    while (rest.begin < rest.end) {  // dx (B, I) = dy weightᵀ
        const Piece s = next_piece(inputs, rest);
        const Operand<T> dy{op.dy.data, op.dy.ld(), 1};
        const Transposed<T> weight{op.weight.data, O};
        if (op.activation == Activation::relu && !op.slope) {
            gemm(dy, weight, op.dx.data, op.dx.ld(), s.m0, s.m1, s.n0, s.n1, O,
                 WhereReLU<T>{op.x.data, op.x.ld()}, scratch);
            continue;
        }
        gemm(dy, weight, op.dx.data, op.dx.ld(), s.m0, s.m1, s.n0, s.n1, O, Plain{}, scratch);
        if (op.activation != Activation::identity || op.slope)
            for (Index m = s.m0; m < s.m1; ++m) {
                T* dx = op.dx.data + m * op.dx.ld() + s.n0;
                const T* slope = op.slope ? op.slope.data + m * op.slope.ld() + s.n0 : nullptr;
                multiply_slope(op.activation, op.x.data + m * op.x.ld() + s.n0, slope, dx, dx, s.n1 - s.n0,
                               T(op.alpha));
            }
    }
}

}  // namespace

BACKPASS_KERNEL(LinearForward, linear_forward)
BACKPASS_KERNEL(LinearBackward, linear_backward)

}  // namespace backpass::BACKPASS_ISA
