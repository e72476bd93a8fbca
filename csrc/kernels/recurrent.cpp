// RNN, LSTM and GRU: tiles of rows go through all steps; the gradients of the weights follow as products.
#include "../ops/recurrent.hpp"
#include "kernel.hpp"
#include "recurrent/lanes.hpp"
#include "recurrent/sequence.hpp"
#include "recurrent/weight_gradient.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// All rows of some tasks.
template <class Sequence, class Op>
__attribute__((noinline)) void run_sequences(const Op& op, Range range, Scratch scratch) {
    const auto s = op.sequences();
    Sequence sequence(op, scratch);
    const Index most = s.rows_per_task();
    for (Index task = range.begin; task < range.end; ++task) {
        const Index begin = task * most, left = s.rows - begin;
        sequence.run(SequenceRows(begin, left < most ? left : most, s.steps, op.lengths, op.reverse));
    }
}

template <class T, class Cell>
void recurrent_forward(const RecurrentForward<T, Cell>& op, Range range, Scratch scratch) {
    if (in_lanes(op.sequences()) && !op.table)
        run_sequences<ForwardLanes<T, Cell>>(op, range, scratch);
    else
        run_sequences<ForwardSequence<T, Cell>>(op, range, scratch);
}

template <class T, class Cell>
void recurrent_backward(const RecurrentBackward<T, Cell>& op, Range range, Scratch scratch) {
    if (in_lanes(op.sequences()))
        run_sequences<BackwardLanes<T, Cell>>(op, range, scratch);
    else
        run_sequences<BackwardSequence<T, Cell>>(op, range, scratch);
}

template <class T, class Cell>
void recurrent_backward_weight(const RecurrentBackwardWeight<T, Cell>& op, Range range, Scratch scratch) {
    RecurrentWeightGradient<T, Cell> gradient(op, scratch);
    for (Index task = range.begin; task < range.end; ++task) gradient.run(task);
}

}  // namespace

BACKPASS_KERNEL(RnnForward, recurrent_forward)
BACKPASS_KERNEL(RnnBackward, recurrent_backward)
BACKPASS_KERNEL(RnnBackwardWeight, recurrent_backward_weight)
BACKPASS_KERNEL(LstmForward, recurrent_forward)
BACKPASS_KERNEL(LstmBackward, recurrent_backward)
BACKPASS_KERNEL(LstmBackwardWeight, recurrent_backward_weight)
BACKPASS_KERNEL(GruForward, recurrent_forward)
BACKPASS_KERNEL(GruBackward, recurrent_backward)
BACKPASS_KERNEL(GruBackwardWeight, recurrent_backward_weight)

}  // namespace backpass::BACKPASS_ISA
