// How the tasks of a product become pieces of C.
#pragma once
#include "../../ops/linear.hpp"
#include "pack.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr Index kPieceColumns = 256;

// Take the next tasks from the grid as one piece of C: the first task and those beside it, up to kPieceColumns, so that A is read
// once. With all_rows a piece that spans all columns also takes the tasks below, so that B is read once.
BP_INLINE Piece next_piece(const Grid& grid, Range& tasks, bool all_rows = false,
                           Index most_columns = kPieceColumns) {
    const Index r = tasks.begin / grid.cols, c = tasks.begin % grid.cols;
    const Index left = tasks.end - tasks.begin, most = grid.cols - c < left ? grid.cols - c : left;
    Index count = 1;
    while (count < most && (count + 1) * grid.piece <= most_columns) ++count;
    const Index rows = all_rows && count == grid.cols ? left / grid.cols : 1;
    tasks.begin += rows * count;
    const Index n0 = c * grid.piece, n1 = n0 + count * grid.piece;
    return {r * grid.m / grid.rows, (r + rows) * grid.m / grid.rows, n0, n1 < grid.n ? n1 : grid.n};
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
