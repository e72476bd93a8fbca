// linear_forward and linear_backward: three matrix products, with bias, activation and slope in their epilogues.
#include "../ops/linear.hpp"
#include "kernel.hpp"
#include "matmul/activate.hpp"
#include "matmul/epilogue.hpp"
#include "matmul/gemm.hpp"
#include "matmul/pair_gemm.hpp"
#include "matmul/pieces.hpp"
#include "matmul/skip_zeros.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// For a product with few columns, which would leave most lanes idle: compute its transpose, kTransposedPiece columns at a time,
// and copy it into rows [from, to) of out. product(begin, end, c) computes columns [begin, end) of the transpose.
constexpr Index kTransposedPiece = 128;
template <class T, class Product>
BP_INLINE void transposed_product(Index from, Index to, Index columns, Output<T> out, Scratch scratch,
                                  Product product) {
    T* const c = static_cast<T*>(scratch.data) + kPackedElements<T>;
    for (Index begin = from; begin < to; begin += kTransposedPiece) {
        const Index end = to - begin < kTransposedPiece ? to : begin + kTransposedPiece;
        product(begin, end, Output<T>{c - begin, kTransposedPiece});
        for (Index i = begin; i < end; ++i)
            for (Index j = 0; j < columns; ++j)
                out.data[i * out.ld + j] = c[j * kTransposedPiece + i - begin];
    }
}

// gemm() at the precision of the op.
template <class T, class B>
BP_INLINE void product(Rounding rounding, Operand<T> a, const B& b, Output<T> c, const Piece& piece, Index K,
                       const Epilogue<T>& epilogue, Scratch scratch) {
    if constexpr (sizeof(T) == 4)
        if (rounding.rounds()) return pair_gemm(rounding, a, b, c, piece, K, epilogue, scratch);
    gemm(a, b, c, piece, K, epilogue, scratch);
}

// Rounded products cut their columns themselves, and pack A once for all of them.
BP_INLINE Index columns_together(const Grid& grid, bool rounds) {
    return rounds ? grid.cols * grid.piece : Grid::kTogether;
}

template <class T>
void linear_forward(const LinearForward<T>& op, Range range, Scratch scratch) {
    const Grid grid = op.grid();
    const Index I = op.x.cols(), O = op.y.cols();
    const bool sweep = needs_sweep(op);
    const bool relu = !sweep && op.activation == Activation::relu;
    const Epilogue<T> epilogue{.bias = op.bias.data, .relu = relu};
    const bool rounds = op.rounding.rounds();
    const bool narrow = !rounds && O <= width<T> / 4;
    const bool sparse = !rounds && !narrow && sparse_in_rows(op.x, O);
    const Operand<T> x{op.x.data, op.x.ld(), 1};
    const RowMajor<T> weight{op.weight.data, O};
    const Output<T> y{op.y.data, op.y.ld()};
    const auto compute = [&](const Piece& piece) {
        const auto [m0, m1, n0, n1] = piece;
        if (narrow) {  // yᵀ = weightᵀ xᵀ
            const Operand<T> weight_t{op.weight.data, 1, O};
            const Transposed<T> x_t{op.x.data, op.x.ld()};
            const Epilogue<T> rows_epilogue{.row_bias = op.bias.data, .relu = relu};
            transposed_product(m0, m1, O, y, scratch, [&](Index begin, Index end, Output<T> c) BP_INLINED {
                gemm(weight_t, x_t, c, Piece{0, O, begin, end}, I, rows_epilogue, scratch);
            });
        } else if (!sparse || !sparse_gemm(x, weight, y, piece, I, epilogue, scratch)) {
            product(op.rounding, x, weight, y, piece, I, epilogue, scratch);
        }
        if (sweep) {
            const Index slope_ld = op.slope ? op.slope.ld() : y.ld;
            each_stretch(piece, y.ld, slope_ld, [&](Index m, Index size) BP_INLINED {
                T* const from = y.data + m * y.ld + n0;
                T* const slope = op.slope ? op.slope.data + m * slope_ld + n0 : nullptr;
                activate(op.activation, from, from, slope, size, T(op.alpha));
            });
        }
    };
    each_piece<T>(grid, range, *scratch.caches, compute, columns_together(grid, rounds), sparse || rounds);
}

// Number of last columns of dweight for which the transpose pays, as measured.
template <class T>
BP_INLINE Index transposed_columns(Index B, Index I, Index O) {
    const Index rest = O % width<T>;
    if (O < width<T>) return rest <= width<T> * 3 / 4 ? rest : 0;
    const bool pays = O > 2 * width<T> && O <= 16 * width<T> && I >= width<T> && B >= 16;
    return pays && rest <= width<T> / 2 ? rest : 0;
}

// A piece of dweight (I, O) = xᵀ dy. x is read down its columns, which needs no transpose.
template <class T>
BP_INLINE void weight_gradient(const LinearBackward<T>& op, Piece piece, bool sparse, Scratch scratch) {
    const auto [m0, m1, n0, n1] = piece;
    const Index B = op.x.rows(), I = op.x.cols(), O = op.dy.cols();
    const Operand<T> x_t{op.x.data, 1, op.x.ld()};
    const RowMajor<T> dy{op.dy.data, op.dy.ld()};
    const Output<T> dweight{op.dweight.data, O, op.adds};
    if (sparse && sparse_gemm(x_t, dy, dweight, piece, B, Epilogue<T>{}, scratch)) return;
    const bool transposes = n1 == O && !op.rounding.rounds() && !op.adds;
    const Index middle = transposes ? O - transposed_columns<T>(B, I, O) : n1;
    if (n0 < middle)
        product(op.rounding, x_t, dy, dweight, Piece{m0, m1, n0, middle}, B, Epilogue<T>{}, scratch);
    if (middle < n1) {  // dweightᵀ = dyᵀ x
        const Index columns = O - middle;
        const Operand<T> dy_t{op.dy.data + middle, 1, op.dy.ld()};
        const RowMajor<T> x{op.x.data, op.x.ld()};
        const Output<T> out{op.dweight.data + middle, O};
        transposed_product(m0, m1, columns, out, scratch,
                           [&](Index begin, Index end, Output<T> c) BP_INLINED {
                               gemm(dy_t, x, c, Piece{0, columns, begin, end}, B, Epilogue<T>{}, scratch);
                           });
    }
}

// A piece of dx (B, I) = dy weightᵀ, times the slope of the activation that produced x.
template <class T>
BP_INLINE void input_gradient(const LinearBackward<T>& op, Piece piece, Scratch scratch) {
    const auto [m0, m1, n0, n1] = piece;
    const Index O = op.dy.cols();
    const Operand<T> dy{op.dy.data, op.dy.ld(), 1};
    const Transposed<T> weight_t{op.weight.data, O};
    const Output<T> dx{op.dx.data, op.dx.ld()};
    if (op.activation == Activation::relu && !op.slope)
        return product(op.rounding, dy, weight_t, dx, piece, O,
                       Epilogue<T>{.where = op.x.data, .ld = op.x.ld()}, scratch);
    product(op.rounding, dy, weight_t, dx, piece, O, Epilogue<T>{}, scratch);
    if (op.activation == Activation::identity && !op.slope) return;
    const Index from_ld = op.slope ? op.slope.ld() : op.x.ld();
    each_stretch(piece, dx.ld, from_ld, [&](Index m, Index size) BP_INLINED {
        T* const to = dx.data + m * dx.ld + n0;
        const T* const x = op.slope ? nullptr : op.x.data + m * from_ld + n0;
        const T* const slope = op.slope ? op.slope.data + m * from_ld + n0 : nullptr;
        multiply_slope(op.activation, x, slope, to, to, size, T(op.alpha));
    });
}

template <class T>
void linear_backward(const LinearBackward<T>& op, Range range, Scratch scratch) {
    const Grid weights = op.weight_grid(), inputs = op.input_grid();
    const Index O = op.dy.cols(), tasks = weights.tasks();
    const Range first{range.begin, range.end < tasks ? range.end : tasks};
    const bool rounds = op.rounding.rounds();
    const bool sparse =
        !rounds && !op.adds && op.dweight && first.begin < first.end && sparse_in_columns(op.x, O);
    const auto to_weights = [&](const Piece& piece) {
        if (op.dweight) weight_gradient(op, piece, sparse, scratch);
        if (piece.m0 == 0 && op.dbias) bias_gradient(op.dy, op.dbias.data, piece.n0, piece.n1, op.adds);
    };
    each_piece<T>(weights, first, *scratch.caches, to_weights, columns_together(weights, rounds),
                  sparse || rounds);
    const Range rest{range.begin > tasks ? range.begin - tasks : 0, range.end - tasks};
    const auto to_inputs = [&](const Piece& piece) { input_gradient(op, piece, scratch); };
    // Rows of dy that have to be copied are copied once for all columns.
    each_piece<T>(inputs, rest, *scratch.caches, to_inputs, inputs.cols * inputs.piece, rounds);
}

}  // namespace

BACKPASS_KERNEL(LinearForward, linear_forward)
BACKPASS_KERNEL(LinearBackward, linear_backward)

}  // namespace backpass::BACKPASS_ISA
