// A linear layer on sparse rows: what `gather` and the linear ops do for dense ones.
#pragma once
#include "fields.hpp"

namespace backpass {

// Rows of a matrix (N, I) by their stored values: row r has values[starts[r] .. ends[r]] in columns[starts[r] .. ends[r]].
// The batch consists of the rows index[cursor], index[cursor + 1], ...; a row outside index or outside the matrix is empty.
template <class T>
struct SparseRows {
    Tensor<const std::int64_t> starts, ends, columns;
    Tensor<const T> values;
    Tensor<const std::int64_t> index, cursor;

    template <class Visit>
    void row_fields(Visit&& field) {
        field("starts", starts);
        field("ends", ends);
        field("columns", columns);
        field("values", values);
        field("index", index);
        field("cursor", cursor);
    }
    const char* invalid_rows() const {
        const std::int64_t N = starts.size(), Z = values.size();
        return starts.ndim == 1 && has_size(ends, N) && has_size(index, N) && values.ndim == 1 &&
                       has_size(columns, Z) && has_size(cursor, 1)
                   ? nullptr
                   : "starts, ends and index must be (N,), columns and values (Z,), cursor (1,)";
    }
    // Multiplications for one row of so many outputs, on average.
    double work(std::int64_t outputs) const {
        const double rows = double(starts.size() ? starts.size() : 1);
        return double(values.size()) / rows * double(outputs);
    }
};

template <class T>
struct SparseLinearForward : SparseRows<T> {
    static constexpr const char* name = "sparse_linear_forward";
    Tensor<const T> weight, bias;
    Tensor<T> y, slope;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Visit>
    void fields(Visit&& field) {
        this->row_fields(field);
        field("weight", weight);
        field("bias", bias, optional);
        field("y", y, padded);
        field("slope", slope, optional, padded);
        field("activation", activation, kActivationNames);
        field("alpha", alpha);
    }
    const char* invalid() const {
        if (weight.ndim != 2) return "weight must be (I, O)";
        if (!has_size(bias, weight.shape[1])) return "bias must be (O,)";
        if (y.ndim != 2 || y.shape[1] != weight.shape[1] || !is_matrix(slope, y.shape[0], y.shape[1]))
            return "y and slope must be (B, O)";
        return this->invalid_rows();
    }
    double flops() const { return 2.0 * double(y.rows()) * this->work(y.cols()); }
    double bytes() const { return double(sizeof(T)) * double(y.rows()) * this->work(y.cols()); }
    BP_INLINE std::int64_t rows_per_task() const {
        return 1 + std::int64_t(65536 / (this->work(y.cols()) + 64));
    }
    std::int64_t tasks() const { return y.size() == 0 ? 0 : pieces(y.rows(), rows_per_task()); }
};

// dweight = xᵀ dy, dbias = Σ dy. A task is some rows of dweight.
template <class T>
struct SparseLinearBackward : SparseRows<T> {
    static constexpr const char* name = "sparse_linear_backward";
    Tensor<const T> dy;
    Tensor<T> dweight, dbias;

    template <class Visit>
    void fields(Visit&& field) {
        this->row_fields(field);
        field("dy", dy, padded);
        field("dweight", dweight);
        field("dbias", dbias, optional);
    }
    const char* invalid() const {
        if (dy.ndim != 2 || dweight.ndim != 2 || dy.shape[1] != dweight.shape[1])
            return "dy must be (B, O), dweight (I, O)";
        if (!has_size(dbias, dy.shape[1])) return "dbias must be (O,)";
        return this->invalid_rows();
    }
    double flops() const { return 2.0 * double(dy.rows()) * this->work(dy.cols()); }
    double bytes() const {
        return double(sizeof(T)) * (double(dweight.size()) + 2.0 * double(dy.rows()) * this->work(dy.cols()));
    }
    // Few tasks, because each of them scans the columns of the whole batch.
    BP_INLINE std::int64_t rows_per_task() const {
        const std::int64_t some = pieces(dweight.rows(), 16), least = rows_of(16384, dweight.cols());
        return some > least ? some : least;
    }
    // At least one task even for zero rows: it has to write dbias.
    std::int64_t tasks() const {
        const std::int64_t count = pieces(dweight.rows(), rows_per_task());
        return count < 1 ? 1 : count;
    }
};

using SparseLinearOps = BothDtypes<SparseLinearForward, SparseLinearBackward>;

}  // namespace backpass
