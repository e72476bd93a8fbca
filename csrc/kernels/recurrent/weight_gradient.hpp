// dweight_ih = Σ xᵀ dpre and dweight_hh = Σ h₋₁ᵀ dpre: the steps that rows have are collected in blocks, [x h₋₁ 1] beside dpre; then
// one product for each block. The column of ones gives the biases. Of few columns a collected step costs more than its products:
// there each sequence is read in place.
#pragma once
#include "../../ops/recurrent.hpp"
#include "panels.hpp"
#include "rows.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T, class Cell>
class RecurrentWeightGradient {
  public:
    BP_INLINE RecurrentWeightGradient(const RecurrentBackwardWeight<T, Cell>& op, Scratch scratch)
        : op_(op), s_(op.sequences()), b_(static_cast<T*>(scratch.data)) {
        // An odd number of lines apart, so that steps spread over the sets of the cache.
        ld_ = (s_.inputs + s_.units + 1 + 2 * kLine<T> - 1) / (2 * kLine<T>)*(2 * kLine<T>)+kLine<T>;
        const Index panels = Panels<T>::size(kBlockK, op.kColumns);
        sums_ = b_ + panels;
        sums_ld_ = whole_panels<T>(Cell::kept * s_.units);
        a_ = sums_ + (op.at_once() ? op.kMostSums : 0);
        most_ = (s_.room() - (a_ - b_)) / ld_;
        most_ = most_ < kBlockK ? most_ : kBlockK;
    }

    BP_INLINE void run(Index task) {
        const auto columns = op_.columns(task);
        const bool adds = op_.dtable && columns.of_ih, in_place = op_.in_place();
        if (adds) clear_table(columns.begin, columns.end);
        Index count = 0;
        first_ = true;
        for (Index row = 0; row < s_.rows; ++row) {
            const SequenceRows rows(row, 1, s_.steps, op_.lengths, op_.reverse);
            if (in_place) multiply_sequence(rows);
            for (Index step = 0; step < rows.end[0] && (adds || !in_place); ++step) {
                if (adds && op_.index) add_row(rows.place(0, step), columns.begin, columns.end);
                if (in_place) continue;
                collect(rows, step, columns.begin, columns.end, count++);
                if (count < most_) continue;
                multiply(columns, count);
                count = 0;
            }
        }
        // No steps at all leave zeros.
        if (in_place) {
            if (first_) copy_or_zero<T>(sums_, nullptr, (s_.inputs + s_.units + 1) * sums_ld_);
        } else if (count > 0 || first_) {
            multiply(columns, count);
        }
        if (op_.at_once()) hand_out();
    }

  private:
    // The steps of one sequence to the sums, from where x, h and dpre lie.
    BP_INLINE void multiply_sequence(const SequenceRows& rows) {
        const Index I = s_.inputs, H = s_.units, steps = rows.end[0], ld = Cell::kept * H;
        if (steps == 0) return;
        const Index there = rows.place(0, 0), by = op_.reverse ? -1 : 1;
        const T* before = op_.h0 ? op_.h0.data + rows.row[0] * H : nullptr;
        copy_or_zero(a_, before, H);
        a_[H] = T(1);
        for (Index n = 0; n < ld; n += kPanel<T>) {
            const T* const d = op_.dpre.data + there * ld + n;
            const Index columns = ld - n < kPanel<T> ? ld - n : kPanel<T>;
            const auto add = [&](Operand<T> a, Index height, const T* b, Index count, Index row, bool first)
                                 BP_INLINED {
                                     multiply_panel(a, height, b, by * ld, count, sums_ + row * sums_ld_ + n,
                                                    sums_ld_, columns, first);
                                 };
            add({op_.x.data + there * I, 1, by * I}, I, d, steps, 0, first_);
            add({a_, 1, H}, H, d, 1, I, first_);
            add({op_.y.data + there * H, 1, by * H}, H, d + by * ld, steps - 1, I, false);
            add({a_ + H, 1, 0}, 1, d, steps, I + H, first_);
        }
        first_ = false;
    }
    BP_INLINE void collect(const SequenceRows& rows, Index step, Index begin, Index end, Index at) {
        const Index I = s_.inputs, H = s_.units, place = rows.place(0, step);
        T* const a = a_ + at * ld_;
        copy_or_zero(a, op_.x.data + place * I, I);
        copy_or_zero(a + I, rows.before(0, step, op_.y.data, op_.h0.data, H), H);
        a[I + H] = T(1);
        const T* from = op_.dpre.data + place * Cell::kept * H + begin;
        for (Index n = 0; n < end - begin; n += kPanel<T>) {
            const Index left = end - begin - n;
            pack_panel(from + n, 0, 1, left < kPanel<T> ? left : kPanel<T>, b_ + n * most_ + at * kPanel<T>);
        }
    }
    BP_INLINE void multiply(const typename RecurrentBackwardWeight<T, Cell>::Columns& columns, Index count) {
        const Index I = s_.inputs, H = s_.units, all = Cell::gates * H;
        for (Index n = 0; n < columns.end - columns.begin; n += kPanel<T>) {
            const Index left = columns.end - columns.begin - n, m = left < kPanel<T> ? left : kPanel<T>;
            const Index at = columns.begin + n;
            if (op_.at_once()) {
                multiply_panel(Operand<T>{a_, 1, ld_}, I + H + 1, b_ + n * most_, kPanel<T>, count,
                               sums_ + at, sums_ld_, m, first_);
                continue;
            }
            const auto rows = [&](Index from, Index height, T* to) BP_INLINED {
                if (to)
                    multiply_panel(Operand<T>{a_ + from, 1, ld_}, height, b_ + n * most_, kPanel<T>, count,
                                   to + at, all, m, first_);
            };
            if (columns.of_ih) {
                rows(0, I, op_.dweight_ih.data);
                rows(I + H, 1, op_.dbias_ih.data);
            }
            if (columns.of_hh) {
                rows(I, H, op_.dweight_hh ? op_.dweight_hh.data + columns.shift : nullptr);
                rows(I + H, 1, op_.dbias_hh ? op_.dbias_hh.data + columns.shift : nullptr);
            }
        }
        first_ = false;
    }

    // dtable[index] += dpre of a step, while it is in the cache: those columns of a task that belong to x.
    BP_INLINE void add_row(Index place, Index begin, Index end) const {
        const Index chosen = op_.index.data[place], all = Cell::gates * s_.units;
        if (chosen < 0 || chosen >= op_.dtable.shape[0]) return;
        const T* from = op_.dpre.data + place * Cell::kept * s_.units + begin;
        T* const to = op_.dtable.data + chosen * all + begin;
        each_vector<T>((end < all ? end : all) - begin, [&](Index i, int n) BP_INLINED {
            store_some(to + i, load_some(to + i, n) + load_some(from + i, n), n);
        });
    }
    BP_INLINE void clear_table(Index begin, Index end) const {
        const Index all = Cell::gates * s_.units, last = end < all ? end : all;
        for (Index v = 0; v < op_.dtable.shape[0]; ++v)
            copy_or_zero<T>(op_.dtable.data + v * all + begin, nullptr, last - begin);
    }

    // The parts of the sums to where they belong: what of dpre belongs to x, what to h.
    BP_INLINE void hand_out() const {
        const Index I = s_.inputs, H = s_.units;
        const auto rows = [&](Index from, Index height, bool of_h, T* to) BP_INLINED {
            if (!to) return;
            for (Index m = from; m < from + height; ++m)
                for (Index gate = 0; gate < Cell::gates; ++gate, to += H) {
                    const Index part = of_h && gate + 1 == Cell::gates ? Cell::kept - 1 : gate;
                    copy_or_zero(to, sums_ + m * sums_ld_ + part * H, H);
                }
        };
        rows(0, I, false, op_.dweight_ih.data);
        rows(I, H, true, op_.dweight_hh.data);
        rows(I + H, 1, false, op_.dbias_ih.data);
        rows(I + H, 1, true, op_.dbias_hh.data);
    }

    const RecurrentBackwardWeight<T, Cell>& op_;
    Sequences<T, Cell> s_;
    T *b_, *sums_, *a_;
    Index ld_, sums_ld_, most_;
    bool first_ = true;  // the sums are still to begin
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
