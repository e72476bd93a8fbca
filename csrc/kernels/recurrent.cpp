// RNN, LSTM and GRU: tiles of rows go through all steps; the gradients of the weights follow as products.
#include "../ops/recurrent.hpp"
#include "kernel.hpp"
#include "recurrent/sequence.hpp"
#include "recurrent/weight_gradient.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T, class Cell>
void recurrent_forward(const RecurrentForward<T, Cell>& op, Range range, Scratch scratch) {
    run_sequences<ForwardSequence<T, Cell>>(op, range, scratch);
}

template <class T, class Cell>
void recurrent_backward(const RecurrentBackward<T, Cell>& op, Range range, Scratch scratch) {
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
