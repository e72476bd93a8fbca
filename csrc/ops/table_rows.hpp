// Rows of a table that occur in a batch: sums of gradients for each, and copies of them from the table and back.
#pragma once
#include "fields.hpp"

namespace backpass {

// Bits of the largest number below n.
BP_INLINE int bits_below(std::int64_t n) { return n > 1 ? 64 - __builtin_clzll(std::uint64_t(n - 1)) : 0; }

// What ops have in common that sum up gradients by the rows of a table. The positions order[ends[k-1] .. ends[k]) chose row rows[k],
// k < count. Tasks: pieces of the rows of dweight, then pieces of the rows of drows.
template <class T>
struct SumsOfRows {
    Tensor<const std::int64_t> order, rows, ends, count;
    Tensor<T> dweight, drows;

    template <class Visit>
    void common(Visit&& field) {
        field("order", order);
        field("rows", rows);
        field("ends", ends);
        field("count", count);
        field("dweight", dweight, optional);
        field("drows", drows, optional);
    }
    const char* mismatch(std::int64_t columns) const {
        const auto fits = [&](const Tensor<T>& t) { return !t || (t.ndim == 2 && t.cols() == columns); };
        if (!all_have_size(order.size(), rows, ends) || !has_size(count, 1))
            return "order, rows and ends must have one size, count (1,)";
        return fits(dweight) && fits(drows) ? nullptr
                                            : "dweight must be (V, E), drows (R, E) for gradients of E";
    }
    double flops() const { return double(order.size()) * double(columns()); }
    double bytes() const {
        const double written = dweight ? double(dweight.size()) : 0.0;
        return double(sizeof(T)) * (written + 2 * flops());
    }
    BP_INLINE std::int64_t columns() const { return dweight ? dweight.cols() : drows ? drows.cols() : 0; }
    // Rows of one output that make a task: with the gradients that they are the sums of, about a piece.
    BP_INLINE std::int64_t rows_per_task(const Tensor<T>& sums) const {
        const std::int64_t n = sums.rows(), cuts = (n + order.size()) * sums.cols() / kElementPiece;
        return cuts <= 1 ? n : cuts >= n ? 1 : (n + cuts - 1) / cuts;
    }
    BP_INLINE std::int64_t tasks_of(const Tensor<T>& sums) const {
        return !sums || sums.size() == 0 ? 0 : pieces(sums.rows(), rows_per_task(sums));
    }
    std::int64_t tasks() const { return tasks_of(dweight) + tasks_of(drows); }
};

// chosen_k = table[rows_k] for k < count, 0 behind.
template <class T>
struct GatherRows {
    static constexpr const char* name = "gather_rows";
    Tensor<const T> table;
    Tensor<const std::int64_t> rows, count;
    Tensor<T> chosen;

    template <class Visit>
    void fields(Visit&& field) {
        field("table", table);
        field("rows", rows);
        field("count", count);
        field("chosen", chosen);
    }
    const char* invalid() const {
        return table.ndim == 2 && chosen.ndim == 2 && table.cols() == chosen.cols() && has_size(count, 1)
                   ? nullptr
                   : "table must be (V, E), chosen (R, E), count (1,)";
    }
    double flops() const { return 0; }
    double bytes() const { return 2.0 * sizeof(T) * double(chosen.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kElementPiece, chosen.cols()); }
    std::int64_t tasks() const { return chosen.size() == 0 ? 0 : pieces(chosen.rows(), rows_per_task()); }
};

// table[rows_k] = chosen_k for k < count. No row occurs twice.
template <class T>
struct ScatterRows {
    static constexpr const char* name = "scatter_rows";
    Tensor<const T> chosen;
    Tensor<const std::int64_t> rows, count;
    Tensor<T> table;

    template <class Visit>
    void fields(Visit&& field) {
        field("chosen", chosen);
        field("rows", rows);
        field("count", count);
        field("table", table);
    }
    const char* invalid() const {
        return table.ndim == 2 && chosen.ndim == 2 && table.cols() == chosen.cols() && has_size(count, 1)
                   ? nullptr
                   : "table must be (V, E), chosen (R, E), count (1,)";
    }
    double flops() const { return 0; }
    double bytes() const { return 2.0 * sizeof(T) * double(chosen.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kElementPiece, chosen.cols()); }
    std::int64_t tasks() const { return chosen.size() == 0 ? 0 : pieces(chosen.rows(), rows_per_task()); }
};

using TableRowsOps = BothDtypes<GatherRows, ScatterRows>;

}  // namespace backpass
