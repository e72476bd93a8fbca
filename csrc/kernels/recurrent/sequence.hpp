// A tile of rows through all steps of a sequence, forward or backward in time. What a step needs stays in the cache: the states
// of the rows, the products of the step, and the weights, packed.
#pragma once
#include "../../ops/recurrent.hpp"
#include "cells.hpp"
#include "panels.hpp"
#include "rows.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T, class Cell>
class ForwardSequence {
  public:
    BP_INLINE ForwardSequence(const RecurrentForward<T, Cell>& op, Scratch scratch)
        : op_(op),
          s_(op.sequences()),
          packs_(s_.packs_once() && s_.rows * s_.steps > kFewRows),
          columns_(Cell::gates * s_.units),
          ld_(whole_panels<T>(columns_)),
          room_{static_cast<T*>(scratch.data)},
          x_weights_(op.weight_ih.data, columns_, s_.inputs, columns_, false, take_panels(s_.inputs), packs_),
          h_weights_(op.weight_hh.data, columns_, s_.units, columns_, false, take_panels(s_.units), packs_) {
        bias_x_ = room_.take(columns_);
        copy_or_zero(bias_x_, op.bias_ih.data, columns_);
        bias_h_ = bias_x_;
        if constexpr (is_gru<Cell>) {
            bias_h_ = room_.take(columns_);
            copy_or_zero(bias_h_, op.bias_hh.data, columns_);
        } else if (op.bias_hh) {
            for (Index j = 0; j < columns_; ++j) bias_x_[j] += op.bias_hh.data[j];
        }
        const Index most = s_.rows_per_task();
        x_ = room_.take(most * s_.inputs);
        h_ = room_.take(most * s_.units);
        c_ = is_lstm<Cell> ? room_.take(most * s_.units) : nullptr;
        from_x_ = room_.take(most * ld_);
        from_h_ = is_gru<Cell> ? room_.take(most * ld_) : nullptr;
    }

    BP_INLINE void run(const SequenceRows& rows) {
        const Index H = s_.units, I = s_.inputs;
        for (Index i = 0; i < rows.count; ++i) {
            copy_or_zero(h_ + i * H, op_.h0 ? op_.h0.data + rows.row[i] * H : nullptr, H);
            if (is_lstm<Cell>) copy_or_zero(c_ + i * H, op_.c0 ? op_.c0.data + rows.row[i] * H : nullptr, H);
        }
        const bool looks_up = op_.table && op_.index;
        for (Index step = 0; step < rows.longest(); ++step) {
            const Index n = rows.running(step);
            for (Index i = 0; i < n; ++i) copy_or_zero(x_ + i * I, op_.x.data + rows.place(i, step) * I, I);
            if (looks_up)
                for (Index i = 0; i < n; ++i) look_up(rows.place(i, step), from_x_ + i * ld_);
            if (I > 0 || !looks_up) x_weights_.multiply({x_, I, 1}, n, from_x_, ld_, !looks_up);
            h_weights_.multiply({h_, H, 1}, n, is_gru<Cell> ? from_h_ : from_x_, ld_, is_gru<Cell>);
            for (Index i = 0; i < n; ++i) {
                const Index at = rows.place(i, step);
                forward_step(Cell{}, ForwardStep<T>{
                                         .units = H,
                                         .from_x = from_x_ + i * ld_,
                                         .from_h = from_h_ + (is_gru<Cell> ? i * ld_ : 0),
                                         .bias_x = bias_x_,
                                         .bias_h = bias_h_,
                                         .h = h_ + i * H,
                                         .c = c_ + (is_lstm<Cell> ? i * H : 0),
                                         .y = op_.y.data + at * H,
                                         .cells = op_.cells ? op_.cells.data + at * H : nullptr,
                                         .gates = op_.gates ? op_.gates.data + at * Cell::kept * H : nullptr,
                                         .activation = op_.activation});
            }
        }
        for (Index i = 0; i < rows.count; ++i) {
            copy_or_zero(op_.h_n.data + rows.row[i] * H, h_ + i * H, H);
            if (is_lstm<Cell>) copy_or_zero(op_.c_n.data + rows.row[i] * H, c_ + i * H, H);
            rows.clear_rest(i, op_.y.data, H);
            rows.clear_rest(i, op_.cells.data, H);
            rows.clear_rest(i, op_.gates.data, Cell::kept * H);
        }
    }

  private:
    // The row of the table that a step chooses, with which its chain of products begins; NaN where there is none.
    BP_INLINE void look_up(Index place, T* to) const {
        const Index chosen = op_.index.data[place];
        if (chosen < 0 || chosen >= op_.table.shape[0])
            each_vector<T>(columns_, [&](Index i, int n) BP_INLINED {
                store_some(to + i, broadcast<T>(T(__builtin_nan(""))), n);
            });
        else
            copy_or_zero(to, op_.table.data + chosen * columns_, columns_);
    }
    BP_INLINE T* take_panels(Index K) {
        return room_.take(packs_ ? Panels<T>::size(K, columns_) : kBlockK * kPanel<T>);
    }

    const RecurrentForward<T, Cell>& op_;
    Sequences<T, Cell> s_;
    bool packs_;
    Index columns_, ld_;
    Pieces<T> room_;
    Panels<T> x_weights_, h_weights_;
    T *bias_x_, *bias_h_, *x_, *h_, *c_, *from_x_, *from_h_;
};

template <class T, class Cell>
class BackwardSequence {
  public:
    BP_INLINE BackwardSequence(const RecurrentBackward<T, Cell>& op, Scratch scratch)
        : op_(op),
          s_(op.sequences()),
          columns_(Cell::gates * s_.units),
          dh_ld_(whole_panels<T>(s_.units)),
          dx_ld_(whole_panels<T>(s_.inputs)),
          room_{static_cast<T*>(scratch.data)},
          h_weights_(op.weight_hh.data, columns_, columns_, s_.units, true, take_panels(s_.units),
                     s_.packs_once()),
          x_weights_(op.weight_ih.data, columns_, columns_, op.dx ? s_.inputs : 0, true,
                     take_panels(op.dx ? s_.inputs : 0), s_.packs_once()) {
        const Index most = s_.rows_per_task();
        dh_ = room_.take(most * dh_ld_);
        dc_ = is_lstm<Cell> ? room_.take(most * s_.units) : nullptr;
        of_x_ = room_.take(most * columns_);
        of_h_ = is_gru<Cell> ? room_.take(most * columns_) : of_x_;
        dx_ = room_.take(op.dx ? most * dx_ld_ : 0);
    }

    BP_INLINE void run(const SequenceRows& rows) {
        const Index H = s_.units, I = s_.inputs;
        for (Index i = 0; i < rows.count; ++i) {
            copy_or_zero(dh_ + i * dh_ld_, op_.dh_n ? op_.dh_n.data + rows.row[i] * H : nullptr, H);
            if (is_lstm<Cell>)
                copy_or_zero(dc_ + i * H, op_.dc_n ? op_.dc_n.data + rows.row[i] * H : nullptr, H);
        }
        for (Index step = rows.longest(); step-- > 0;) {
            const Index n = rows.running(step);
            for (Index i = 0; i < n; ++i) back(rows, i, step);
            h_weights_.multiply({of_h_, columns_, 1}, n, dh_, dh_ld_, !is_gru<Cell>);
            if (!op_.dx) continue;
            x_weights_.multiply({of_x_, columns_, 1}, n, dx_, dx_ld_, true);
            for (Index i = 0; i < n; ++i)
                copy_or_zero(op_.dx.data + rows.place(i, step) * I, dx_ + i * dx_ld_, I);
        }
        for (Index i = 0; i < rows.count; ++i) {
            if (op_.dh0) copy_or_zero(op_.dh0.data + rows.row[i] * H, dh_ + i * dh_ld_, H);
            if (op_.dc0) copy_or_zero(op_.dc0.data + rows.row[i] * H, dc_ + i * H, H);
            rows.clear_rest(i, op_.dx.data, I);
            rows.clear_rest(i, op_.dpre.data, Cell::kept * H);
        }
    }

  private:
    BP_INLINE T* take_panels(Index N) {
        return room_.take(s_.packs_once() ? Panels<T>::size(columns_, N) : kBlockK * kPanel<T>);
    }
    BP_INLINE void back(const SequenceRows& rows, Index i, Index step) {
        const Index H = s_.units, at = rows.place(i, step);
        const T* before = nullptr;
        if constexpr (is_lstm<Cell>) before = rows.before(i, step, op_.cells.data, op_.c0.data, H);
        if constexpr (is_gru<Cell>) before = rows.before(i, step, op_.y.data, op_.h0.data, H);
        backward_step(Cell{}, BackwardStep<T>{.units = H,
                                              .gates = op_.gates.data + at * Cell::kept * H,
                                              .cells = op_.cells ? op_.cells.data + at * H : nullptr,
                                              .before = before,
                                              .dy = op_.dy ? op_.dy.data + at * H : nullptr,
                                              .dh = dh_ + i * dh_ld_,
                                              .dc = dc_ + (is_lstm<Cell> ? i * H : 0),
                                              .dpre = op_.dpre.data + at * Cell::kept * H,
                                              .of_x = of_x_ + i * columns_,
                                              .of_h = of_h_ + i * columns_,
                                              .activation = op_.activation});
    }

    const RecurrentBackward<T, Cell>& op_;
    Sequences<T, Cell> s_;
    Index columns_, dh_ld_, dx_ld_;
    Pieces<T> room_;
    Panels<T> h_weights_, x_weights_;
    T *dh_, *dc_, *of_x_, *of_h_, *dx_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
