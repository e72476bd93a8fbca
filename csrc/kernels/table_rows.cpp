// Rows of a table, copied from it and back into it. A row may be forged: outside nothing is read or written.
#include "../ops/table_rows.hpp"
#include "table_rows.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T>
void gather_rows(const GatherRows<T>& op, Range range, Scratch) {
    const Index columns = op.table.cols(), size = op.rows.size(), found = op.count.data[0];
    const Index n = found < size ? found : size;
    const auto [begin, end] = covered(range, op.rows_per_task(), op.chosen.rows());
    for (Index k = begin; k < end; ++k) {
        const bool there = k < n && inside(op.rows.data[k], op.table.rows());
        const T* const from = there ? op.table.data + op.rows.data[k] * columns : nullptr;
        T* const to = op.chosen.data + k * columns;
        each_vector<T>(columns, [&](Index c, int m) BP_INLINED {
            store_some(to + c, from ? load_some(from + c, m) : vec<T>{}, m);
        });
    }
}

template <class T>
void scatter_rows(const ScatterRows<T>& op, Range range, Scratch) {
    const Index columns = op.table.cols(), size = op.rows.size(), found = op.count.data[0];
    const Index n = found < size ? found : size;
    const auto [begin, end] = covered(range, op.rows_per_task(), op.chosen.rows());
    for (Index k = begin; k < end && k < n; ++k) {
        if (!inside(op.rows.data[k], op.table.rows())) continue;
        const T* const from = op.chosen.data + k * columns;
        T* const to = op.table.data + op.rows.data[k] * columns;
        each_vector<T>(columns,
                       [&](Index c, int m) BP_INLINED { store_some(to + c, load_some(from + c, m), m); });
    }
}

}  // namespace

BACKPASS_KERNEL(GatherRows, gather_rows)
BACKPASS_KERNEL(ScatterRows, scatter_rows)

}  // namespace backpass::BACKPASS_ISA
