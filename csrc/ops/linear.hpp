// The linear layer. x (B, I) · weight (I, O) + bias (O) -> y (B, O).
#pragma once
#include <string_view>

#include "fields.hpp"

namespace backpass {

// How a product of m x n elements is cut into tasks: `rows` x `cols` of them, each `piece` columns wide. Wide products get
// large pieces, which reuse what they pack. Narrow products get small pieces, so that several threads have work.
struct Grid {
    std::int64_t m, n, rows, cols, piece;

    BP_INLINE static Grid over(std::int64_t m, std::int64_t n) {
        // A quarter of the columns in multiples of 32, at least 64 and at most 256; 128 rows, or 512 of a wide product.
        const std::int64_t part = (n / 4 + 31) / 32 * 32;
        const std::int64_t piece = part < 64 ? 64 : part > 256 ? 256 : part;
        const std::int64_t rows = pieces(m, n >= 1024 ? 512 : 128);
        // At least one task even for zero rows: it has to write dbias.
        return {m, n, rows < 1 ? 1 : rows, pieces(n, piece), piece};
    }
    BP_INLINE std::int64_t tasks() const { return rows * cols; }
    // How many tasks of a row one product takes, so that its rows of A are read once.
    BP_INLINE std::int64_t together() const { return cols * piece <= kTogether ? cols : kTogether / piece; }

    static constexpr std::int64_t kTogether = 256;  // columns
};

// The precision of an op's products, and what computes them: the program chooses the unit for the machine.
struct Rounding {
    Precision precision = Precision::float32;
    Unit unit = Unit::float32;

    BP_INLINE bool rounds() const { return unit != Unit::float32 && precision != Precision::float32; }
    template <class T>
    const char* wrong() const {
        return sizeof(T) == 8 && precision != Precision::float32 ? "precision must be float32 for float64"
                                                                 : nullptr;
    }
};

template <class T>
struct LinearForward {
    static constexpr const char* name = "linear_forward";
    Tensor<const T> x, weight, bias;
    Tensor<T> y, slope;
    Activation activation = Activation::identity;
    double alpha = 0;
    Rounding rounding;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x, padded);
        field("weight", weight);
        field("bias", bias, optional);
        field("y", y, padded);
        field("slope", slope, optional, padded);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
        field("precision", rounding.precision, kPrecisionNames);
    }
    const char* invalid() const {
        if (weight.ndim != 2) return "weight must be (I, O)";
        if (x.ndim < 1 || x.cols() != weight.shape[0]) return "x must be (..., I)";
        if (!has_size(bias, weight.shape[1])) return "bias must be (O,)";
        if (!is_matrix(y, x.rows(), weight.shape[1]) || !is_matrix(slope, x.rows(), weight.shape[1]))
            return "y and slope must be (..., O)";
        return rounding.wrong<T>();
    }
    double flops() const { return 2.0 * double(x.rows()) * double(x.cols()) * double(weight.cols()); }
    double bytes() const { return double(sizeof(T)) * double(x.size() + weight.size() + y.size()); }
    BP_INLINE Grid grid() const { return Grid::over(y.rows(), y.cols()); }
    std::int64_t tasks() const { return grid().tasks(); }
    std::int64_t together() const { return grid().together(); }
    // Of rounded products each block of rows would pack the weights again.
    std::int64_t rows() const { return rounding.rounds() ? 0 : shared_rows(x, y, slope); }
    static constexpr bool is_of_rows(std::string_view name) { return name != "weight" && name != "bias"; }
};

// dweight = xᵀ dy, dbias = Σ dy, dx = (dy weightᵀ) · slope of the activation that produced x.
// Tasks: those of dweight, then those of dx.
template <class T>
struct LinearBackward {
    static constexpr const char* name = "linear_backward";
    Tensor<const T> x, weight, dy, slope;
    Tensor<T> dx, dweight, dbias;
    Activation activation = Activation::identity;
    double alpha = 0;
    Rounding rounding;
    bool adds = false;  // dweight and dbias go on from what they are: rows before these are in them

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x, padded);
        field("weight", weight);
        field("dy", dy, padded);
        field("slope", slope, optional, padded);
        field("dx", dx, optional, padded);
        field("dweight", dweight, optional);
        field("dbias", dbias, optional);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
        field("precision", rounding.precision, kPrecisionNames);
    }
    const char* invalid() const {
        if (weight.ndim != 2 || !same_shape(weight, dweight)) return "weight and dweight must be (I, O)";
        if (x.ndim < 1 || x.cols() != weight.shape[0]) return "x must be (..., I)";
        if (!is_matrix(dy, x.rows(), weight.shape[1])) return "dy must be (..., O)";
        if (!is_matrix(slope, x.rows(), x.cols()) || !is_matrix(dx, x.rows(), x.cols()))
            return "slope and dx must be (..., I)";
        if (!has_size(dbias, weight.shape[1])) return "dbias must be (O,)";
        return rounding.wrong<T>();
    }
    double flops() const {
        return 2.0 * (bool(dx) + bool(dweight)) * double(x.rows()) * double(x.cols()) * double(weight.cols());
    }
    double bytes() const { return double(sizeof(T)) * double(2 * x.size() + 2 * weight.size() + dy.size()); }
    BP_INLINE Grid weight_grid() const {
        return dweight || dbias ? Grid::over(weight.shape[0], weight.shape[1]) : Grid{};
    }
    BP_INLINE Grid input_grid() const { return dx ? Grid::over(dx.rows(), dx.cols()) : Grid{}; }
    std::int64_t tasks() const { return weight_grid().tasks() + input_grid().tasks(); }
    std::int64_t together() const {
        const std::int64_t weights = weight_grid().together(), inputs = input_grid().together();
        return weights > inputs ? weights : inputs;
    }
    // Rounded products have no chains that go on.
    std::int64_t rows() const { return rounding.rounds() ? 0 : shared_rows(x, dy, slope, dx); }
    static constexpr bool is_of_rows(std::string_view name) {
        return name == "x" || name == "dy" || name == "slope" || name == "dx";
    }
};

using LinearOps = BothDtypes<LinearForward, LinearBackward>;

}  // namespace backpass
