// How the tasks of a product become pieces of C.
#pragma once
#include "../../ops/linear.hpp"
#include "pack.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// f(piece) for pieces of C that make up the tasks: as many tasks side by side as have most_columns, so that A is read once; and of whole
// rows of tasks as many as keep their part of C in a quarter of the L2 cache, so that B is read once, or all_rows that are there.
template <class T, class F>
BP_INLINE void each_piece(const Grid& grid, Range tasks, const Caches& caches, F f,
                          Index most_columns = Grid::kTogether, bool all_rows = false) {
    if (tasks.begin >= tasks.end) return;
    // Small products: without the divisions below.
    if (tasks.end - tasks.begin == grid.cols && grid.rows == 1 && grid.n <= most_columns)
        return f(Piece{0, grid.m, 0, grid.n});
    const Index fit = caches.l2 / (4 * Index(sizeof(T)) * Grid::kTogether);
    const Index most_rows = fit * grid.rows / (grid.m < 1 ? 1 : grid.m);
    const Index side = most_columns / grid.piece < 1 ? 1 : most_columns / grid.piece;
    while (tasks.begin < tasks.end) {
        const Index r = tasks.begin / grid.cols, c = tasks.begin % grid.cols;
        const Index left = tasks.end - tasks.begin, whole = c == 0 ? left / grid.cols : 0;
        Index rows = (all_rows && grid.cols <= side) || whole < most_rows ? whole : most_rows;
        if (rows < 1) rows = 1;
        const Index cols = grid.cols - c < left ? grid.cols : c + left;
        for (Index from = c; from < cols; from += side) {
            const Index n0 = from * grid.piece, n1 = (cols - from < side ? cols : from + side) * grid.piece;
            f(Piece{r * grid.m / grid.rows, (r + rows) * grid.m / grid.rows, n0, n1 < grid.n ? n1 : grid.n});
        }
        tasks.begin += rows * (cols - c);
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
