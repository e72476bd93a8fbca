// A tile of rows through all steps of a sequence, with the rows in the lanes of vectors: number j of row i lies at [j * kLanes + i].
// For layers of so few units that a vector of the units of one row would be half empty.
//
// A product takes the weights as A and the rows as B. Its chains are those of sequence.hpp, so that bits are the same.
#pragma once
#include "../../ops/recurrent.hpp"
#include "cells.hpp"
#include "panels.hpp"
#include "rows.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr Index kLanes = kMostSequenceRows;
// Steps that go from rows to lanes and back at once: a row is then read some lines at a time, which the hardware foresees.
constexpr Index kChunk = 4;
// Rows from which on it pays to fill lanes.
constexpr Index kFewestLanes = 8;

// Whether an op takes its rows this way.
template <class T, class Cell>
BP_INLINE bool in_lanes(const Sequences<T, Cell>& s) {
    return s.has_few_units() && 2 * s.units <= width<T> && s.rows >= kFewestLanes;
}

// Rows to lanes: row i has its `count` numbers at from + place[i] * pitch. Lanes behind the rows become 0, all of them if `from` is
// null.
template <class T>
__attribute__((noinline)) void to_lanes(const T* from, const Index* place, Index rows, Index pitch,
                                        Index count, T* to) {
    constexpr int w = width<T>;
    for (Index i = 0; i < kLanes; i += w)
        for (Index j = 0; j < count; j += w) {
            const int wide = int(count - j < w ? count - j : w);
            vec<T> square[w];
            for (int r = 0; r < w; ++r)
                square[r] =
                    from && i + r < rows ? load_some(from + place[i + r] * pitch + j, wide) : vec<T>{};
            transpose<T>(square);
            for (int c = 0; c < wide; ++c) store(to + (j + c) * kLanes + i, square[c]);
        }
}
// Lanes to rows.
template <class T>
__attribute__((noinline)) void from_lanes(const T* from, const Index* place, Index rows, Index pitch,
                                          Index count, T* to) {
    constexpr int w = width<T>;
    for (Index i = 0; i < rows; i += w)
        for (Index j = 0; j < count; j += w) {
            const int wide = int(count - j < w ? count - j : w), high = int(rows - i < w ? rows - i : w);
            vec<T> square[w];
            for (int c = 0; c < w; ++c) square[c] = c < wide ? load(from + (j + c) * kLanes + i) : vec<T>{};
            transpose<T>(square);
            for (int r = 0; r < high; ++r) store_some(to + place[i + r] * pitch + j, square[r], wide);
        }
}
// One row, which is lane i.
template <class T>
BP_INLINE void set_lane(T* lanes, Index i, const T* from, Index n) {
    for (Index j = 0; j < n; ++j) lanes[j * kLanes + i] = from ? from[j] : T(0);
}
template <class T>
BP_INLINE void get_lane(const T* lanes, Index i, T* to, Index n) {
    for (Index j = 0; j < n; ++j) to[j] = lanes[j * kLanes + i];
}

// c (rows of a, lanes) = a · b, or with `first` false c + a · b; b (k, lanes).
template <class T>
BP_INLINE void multiply_lanes(Operand<T> a, Index rows, const T* b, Index k, T* c, bool first) {
    for (Index n = 0; n < kLanes; n += kPanel<T>)
        multiply_panel(a, rows, b + n, kLanes, k, c + n, kLanes, kPanel<T>, first);
}

// Some steps of the rows that run in all of them. In memory they follow each other, the last one first where rows are reversed.
struct Chunk {
    Index begin, steps, rows;
    bool reverse;
    Index place[kLanes];  // of the steps of each row, where they start

    // The next one after the steps before `begin`, or the last one before `end`.
    BP_INLINE static Chunk after(const SequenceRows& rows, Index begin) {
        const Index n = rows.running(begin);
        return Chunk(rows, begin, rows.end[n - 1] - begin >= kChunk ? kChunk : 1, n);
    }
    BP_INLINE static Chunk before(const SequenceRows& rows, Index end) {
        const Index n = rows.running(end - 1), other = n < rows.count ? rows.end[n] : 0;
        const Index steps = end - other >= kChunk ? kChunk : 1;
        return Chunk(rows, end - steps, steps, n);
    }
    BP_INLINE Chunk(const SequenceRows& all, Index begin, Index steps, Index rows)
        : begin(begin), steps(steps), rows(rows), reverse(all.reverse) {
        for (Index i = 0; i < rows; ++i) place[i] = all.place(i, reverse ? begin + steps - 1 : begin);
    }
    // Which of the chunk a step is in memory.
    BP_INLINE Index slot(Index step) const { return reverse ? begin + steps - 1 - step : step - begin; }
    template <class T>
    BP_INLINE void load(const T* from, Index width, T* to) const {
        to_lanes(from, place, rows, width, steps * width, to);
    }
    template <class T>
    BP_INLINE void save(const T* from, Index width, T* to) const {
        from_lanes(from, place, rows, width, steps * width, to);
    }
    // What was there one step before each step: of `first` at the first one of all.
    template <class T>
    BP_INLINE void load_before(const SequenceRows& all, const T* sequence, const T* first, Index width,
                               T* to) const {
        const Index one = width * kLanes;
        if (begin == 0) to_lanes(first, all.row, rows, width, width, to + slot(0) * one);
        const Index from = begin == 0 ? 0 : begin - 1, count = begin + steps - 1 - from;
        if (count == 0) return;
        const Chunk earlier(all, from, count, rows);
        earlier.load(sequence, width, to + (begin == 0 && !reverse ? one : 0));
    }
};

template <class T, class Cell>
class ForwardLanes {
  public:
    BP_INLINE ForwardLanes(const RecurrentForward<T, Cell>& op, Scratch scratch)
        : op_(op), s_(op.sequences()), columns_(Cell::gates * s_.units) {
        Pieces<T> room{static_cast<T*>(scratch.data)};
        bias_x_ = room.take(columns_ * kLanes);
        bias_h_ = is_gru<Cell> ? room.take(columns_ * kLanes) : bias_x_;
        for (Index j = 0; j < columns_; ++j) {
            const T x = op.bias_ih ? op.bias_ih.data[j] : T(0), h = op.bias_hh ? op.bias_hh.data[j] : T(0);
            const T own = is_gru<Cell> || !op.bias_hh ? x : x + h;
            for (Index i = 0; i < kLanes; ++i) {
                bias_h_[j * kLanes + i] = h;
                bias_x_[j * kLanes + i] = own;
            }
        }
        const Index units = s_.units * kLanes;
        x_ = room.take(kChunk * s_.inputs * kLanes);
        h_ = room.take(units);
        c_ = is_lstm<Cell> ? room.take(units) : nullptr;
        y_ = room.take(kChunk * units);
        cells_ = op.cells ? room.take(kChunk * units) : nullptr;
        from_x_ = room.take(columns_ * kLanes);
        from_h_ = is_gru<Cell> ? room.take(columns_ * kLanes) : from_x_;
        gates_ = op.gates ? room.take(kChunk * Cell::kept * units) : nullptr;
    }

    BP_INLINE void run(const SequenceRows& rows) {
        const Index H = s_.units, I = s_.inputs;
        to_lanes(op_.h0.data, rows.row, rows.count, H, H, h_);
        if (is_lstm<Cell>) to_lanes(op_.c0.data, rows.row, rows.count, H, H, c_);
        finish(rows, rows.running(0), rows.count);
        for (Index step = 0; step < rows.longest();) {
            const Chunk chunk = Chunk::after(rows, step);
            chunk.load(op_.x.data, I, x_);
            for (const Index end = step + chunk.steps; step < end; ++step) run_step(chunk.slot(step));
            chunk.save(y_, H, op_.y.data);
            if (cells_) chunk.save(cells_, H, op_.cells.data);
            if (gates_) chunk.save(gates_, Cell::kept * H, op_.gates.data);
            finish(rows, rows.running(step), chunk.rows);
        }
        for (Index i = 0; i < rows.count; ++i) {
            rows.clear_rest(i, op_.y.data, H);
            rows.clear_rest(i, op_.cells.data, H);
            rows.clear_rest(i, op_.gates.data, Cell::kept * H);
        }
    }

  private:
    BP_INLINE void run_step(Index slot) const {
        const Index units = s_.units * kLanes;
        const T* const x = x_ + slot * s_.inputs * kLanes;
        multiply_lanes(Operand<T>{op_.weight_ih.data, 1, columns_}, columns_, x, s_.inputs, from_x_, true);
        multiply_lanes(Operand<T>{op_.weight_hh.data, 1, columns_}, columns_, h_, s_.units, from_h_,
                       is_gru<Cell>);
        forward_step(Cell{}, ForwardStep<T>{.units = units,
                                            .from_x = from_x_,
                                            .from_h = from_h_,
                                            .bias_x = bias_x_,
                                            .bias_h = bias_h_,
                                            .h = h_,
                                            .c = c_,
                                            .y = y_ + slot * units,
                                            .cells = cells_ ? cells_ + slot * units : nullptr,
                                            .gates = gates_ ? gates_ + slot * Cell::kept * units : nullptr,
                                            .activation = op_.activation});
    }
    // The last states of rows that end here; their lanes go on without a meaning.
    BP_INLINE void finish(const SequenceRows& rows, Index begin, Index end) const {
        for (Index i = begin; i < end; ++i) {
            get_lane(h_, i, op_.h_n.data + rows.row[i] * s_.units, s_.units);
            if (is_lstm<Cell>) get_lane(c_, i, op_.c_n.data + rows.row[i] * s_.units, s_.units);
        }
    }

    const RecurrentForward<T, Cell>& op_;
    Sequences<T, Cell> s_;
    Index columns_;
    T *bias_x_, *bias_h_, *x_, *h_, *c_, *y_, *cells_, *from_x_, *from_h_, *gates_;
};

template <class T, class Cell>
class BackwardLanes {
  public:
    BP_INLINE BackwardLanes(const RecurrentBackward<T, Cell>& op, Scratch scratch)
        : op_(op), s_(op.sequences()), columns_(Cell::gates * s_.units) {
        Pieces<T> room{static_cast<T*>(scratch.data)};
        const Index units = s_.units * kLanes;
        dh_ = room.take(units);
        dc_ = room.take(is_lstm<Cell> ? units : 0);
        cells_ = is_lstm<Cell> ? room.take(kChunk * units) : nullptr;
        before_ = room.take(kChunk * units);
        dy_ = op.dy ? room.take(kChunk * units) : nullptr;
        kept_ = room.take(kChunk * Cell::kept * units);
        of_h_ = is_gru<Cell> ? room.take(columns_ * kLanes) : nullptr;
        dx_ = room.take(op.dx ? kChunk * s_.inputs * kLanes : 0);
    }

    BP_INLINE void run(const SequenceRows& rows) {
        const Index H = s_.units;
        to_lanes<T>(nullptr, nullptr, 0, H, H, dh_);
        if (is_lstm<Cell>) to_lanes<T>(nullptr, nullptr, 0, H, H, dc_);
        for (Index end = rows.longest(); end > 0;) {
            const Chunk chunk = Chunk::before(rows, end);
            begin(rows, rows.running(end), chunk.rows);
            chunk.load(op_.gates.data, Cell::kept * H, kept_);
            if (dy_) chunk.load(op_.dy.data, H, dy_);
            if constexpr (is_lstm<Cell>) {
                chunk.load(op_.cells.data, H, cells_);
                chunk.load_before(rows, op_.cells.data, op_.c0.data, H, before_);
            }
            if constexpr (is_gru<Cell>) chunk.load_before(rows, op_.y.data, op_.h0.data, H, before_);
            for (; end > chunk.begin; --end) run_step(chunk.slot(end - 1));
            chunk.save(kept_, Cell::kept * H, op_.dpre.data);
            if (op_.dx) chunk.save(dx_, s_.inputs, op_.dx.data);
        }
        // The gradients of rows without a step are those that they arrived with.
        begin(rows, rows.running(0), rows.count);
        if (op_.dh0) from_lanes(dh_, rows.row, rows.count, H, H, op_.dh0.data);
        if (op_.dc0) from_lanes(dc_, rows.row, rows.count, H, H, op_.dc0.data);
        for (Index i = 0; i < rows.count; ++i) {
            rows.clear_rest(i, op_.dx.data, s_.inputs);
            rows.clear_rest(i, op_.dpre.data, Cell::kept * H);
        }
    }

  private:
    BP_INLINE void run_step(Index slot) const {
        const Index units = s_.units * kLanes;
        T* const kept = kept_ + slot * Cell::kept * units;
        backward_step(Cell{}, BackwardStep<T>{.units = units,
                                              .gates = kept,
                                              .cells = cells_ ? cells_ + slot * units : nullptr,
                                              .before = before_ + slot * units,
                                              .dy = dy_ ? dy_ + slot * units : nullptr,
                                              .dh = dh_,
                                              .dc = dc_,
                                              .dpre = kept,
                                              .of_x = kept,
                                              .of_h = of_h_,
                                              .activation = op_.activation});
        multiply_lanes(Operand<T>{op_.weight_hh.data, columns_, 1}, s_.units, is_gru<Cell> ? of_h_ : kept,
                       columns_, dh_, !is_gru<Cell>);
        if (op_.dx)
            multiply_lanes(Operand<T>{op_.weight_ih.data, columns_, 1}, s_.inputs, kept, columns_,
                           dx_ + slot * s_.inputs * kLanes, true);
    }
    // The gradients of the last states of rows whose last step this is; until here their lanes had no meaning.
    BP_INLINE void begin(const SequenceRows& rows, Index begin, Index end) const {
        for (Index i = begin; i < end; ++i) {
            const Index at = rows.row[i] * s_.units;
            set_lane(dh_, i, op_.dh_n ? op_.dh_n.data + at : nullptr, s_.units);
            if (is_lstm<Cell>) set_lane(dc_, i, op_.dc_n ? op_.dc_n.data + at : nullptr, s_.units);
        }
    }

    const RecurrentBackward<T, Cell>& op_;
    Sequences<T, Cell> s_;
    Index columns_;
    // kept_: what the forward pass kept, then dpre in its place.
    T *dh_, *dc_, *cells_, *before_, *dy_, *kept_, *of_h_, *dx_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
