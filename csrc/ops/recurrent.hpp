// Recurrent layers: one op is a whole sequence of one layer and direction. x (B, T, I) -> y (B, T, H).
//
// A row of x counts up to its length; `reverse` reads it from there to its start. Behind it y is 0.
#pragma once
#include <type_traits>

#include "linear.hpp"

namespace backpass {

// How many matrices (., H) a weight has, and how many numbers a step keeps of each unit for the backward pass.
struct RnnCell {
    static constexpr std::int64_t gates = 1, kept = 1;
};
struct LstmCell {
    static constexpr std::int64_t gates = 4, kept = 4;
};
// Kept: r, z, n, and W_hn h + b_hn, which r multiplies.
struct GruCell {
    static constexpr std::int64_t gates = 3, kept = 4;
};
template <class Cell>
inline constexpr bool is_lstm = std::is_same_v<Cell, LstmCell>;
template <class Cell>
inline constexpr bool is_gru = std::is_same_v<Cell, GruCell>;

// Rows of a task: they go through all steps together.
inline constexpr std::int64_t kSequenceRows = 8, kMostSequenceRows = 32;
inline constexpr std::int64_t kFewUnits = 8, kFewInputs = 64;
// Columns of packed weights come in panels of at most so many.
inline constexpr std::int64_t kMostPanel = 32;

// The sizes that the ops of a cell share.
template <class T, class Cell>
struct Sequences {
    std::int64_t rows, steps, inputs, units;

    BP_INLINE static std::int64_t padded(std::int64_t n) { return pieces(n, kMostPanel) * kMostPanel; }
    BP_INLINE static std::int64_t room() { return std::int64_t(kScratchBytes / sizeof(T)); }
    // Elements of scratch memory: packed weights, and what a row needs, at most.
    BP_INLINE std::int64_t packed() const {
        const std::int64_t columns = Cell::gates * units;
        const std::int64_t forward = (inputs + units) * padded(columns);
        const std::int64_t backward = columns * (padded(inputs) + padded(units));
        return forward > backward ? forward : backward;
    }
    BP_INLINE std::int64_t row() const { return 2 * padded(inputs) + 12 * padded(units); }
    BP_INLINE bool packs_once() const { return packed() + kSequenceRows * row() <= room(); }
    // Whether there may be more lanes in a vector than units, which rows fill instead.
    BP_INLINE bool has_few_units() const { return units <= kFewUnits && inputs <= kFewInputs; }
    // Weights that have no room are packed at every step, which pays with more rows.
    BP_INLINE std::int64_t rows_per_task() const {
        if (has_few_units()) return kMostSequenceRows;
        if (packs_once()) return kSequenceRows;
        const std::int64_t fit = room() / 2 / row();
        return fit < 1 ? 1 : fit > kMostSequenceRows ? kMostSequenceRows : fit;
    }
    BP_INLINE std::int64_t tasks() const { return pieces(rows, rows_per_task()); }

    template <class X, class L, class H>
    const char* invalid(const X& x_like, const L& lengths, const H& h0) const {
        if (x_like.ndim != 3 || !is_size(inputs, 0) || !is_size(units, 0)) return "x must be (B, T, I)";
        if (row() > room() / 2) return "the weights are too large";
        if (!has_size(lengths, rows)) return "lengths must be (B,)";
        return is_matrix(h0, rows, units) ? nullptr : "the states must be (B, H)";
    }
    template <class W>
    bool is_weight(const W& weight, std::int64_t from) const {
        return !weight || (weight.ndim == 3 && weight.shape[0] == from && weight.shape[1] == Cell::gates &&
                           weight.shape[2] == units);
    }
    template <class W>
    bool is_table(const W& table) const {
        return !table || (table.ndim == 3 && is_weight(table, table.shape[0]));
    }
    template <class A>
    bool is_sequence(const A& a, std::int64_t width) const {
        return !a || (a.ndim == 3 && a.shape[0] == rows && a.shape[1] == steps && a.shape[2] == width);
    }
    template <class A>
    bool are_kept(const A& a) const {
        return !a || (a.ndim == 4 && a.shape[0] == rows && a.shape[1] == steps && a.shape[2] == Cell::kept &&
                      a.shape[3] == units);
    }
    double products() const {
        return 2.0 * double(rows) * double(steps) * double(inputs + units) * double(Cell::gates * units);
    }
};

template <class T, class Cell>
struct RecurrentForward {
    using Number = T;
    Tensor<const T> x, weight_ih, weight_hh, bias_ih, bias_hh, table, h0, c0;
    Tensor<const std::int64_t> index, lengths;
    Tensor<T> y, h_n, c_n, cells, gates;
    Activation activation = Activation::tanh;
    bool reverse = false;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("weight_ih", weight_ih);
        field("weight_hh", weight_hh);
        field("bias_ih", bias_ih, optional);
        field("bias_hh", bias_hh, optional);
        field("table", table, optional);
        field("index", index, optional);
        field("h0", h0, optional);
        if constexpr (is_lstm<Cell>) field("c0", c0, optional);
        field("lengths", lengths, optional);
        field("y", y);
        field("h_n", h_n);
        if constexpr (is_lstm<Cell>) {
            field("c_n", c_n);
            field("cells", cells, optional);
        }
        field("gates", gates, optional);
        if constexpr (std::is_same_v<Cell, RnnCell>) field("activation", activation, kActivationNames);
        field("reverse", reverse);
    }
    BP_INLINE Sequences<T, Cell> sequences() const {
        return {x.shape[0], x.shape[1], x.shape[2], weight_hh.shape[0]};
    }
    const char* invalid() const {
        const auto s = sequences();
        if (const char* what = s.invalid(x, lengths, h0)) return what;
        if (!s.is_weight(weight_ih, s.inputs) || !s.is_weight(weight_hh, s.units))
            return "the weights must be (I, G, H) and (H, G, H)";
        if (!all_have_size(Cell::gates * s.units, bias_ih, bias_hh)) return "the biases must be (G, H)";
        if (!s.is_table(table) || !is_matrix(index, s.rows, s.steps))
            return "table must be (V, G, H), and index (B, T)";
        if (!is_matrix(c0, s.rows, s.units) || !is_matrix(h_n, s.rows, s.units) ||
            !is_matrix(c_n, s.rows, s.units))
            return "the states must be (B, H)";
        if (!s.is_sequence(y, s.units) || !s.is_sequence(cells, s.units)) return "y must be (B, T, H)";
        if (activation != Activation::tanh && activation != Activation::relu)
            return "activation is no tanh or relu";
        return s.are_kept(gates) ? nullptr : "gates must be (B, T, K, H)";
    }
    double flops() const { return sequences().products() + 20.0 * double(Cell::gates) * double(y.size()); }
    double bytes() const {
        return double(sizeof(T)) *
               double(x.size() + y.size() + weight_ih.size() + weight_hh.size() + gates.size());
    }
    BP_INLINE std::int64_t tasks() const { return sequences().tasks(); }
};

// dpre, the gradient at the pre-activations, of all steps: last to first; dx and the gradients of the first states.
template <class T, class Cell>
struct RecurrentBackward {
    using Number = T;
    Tensor<const T> weight_ih, weight_hh, h0, c0, y, cells, gates, dy, dh_n, dc_n;
    Tensor<const std::int64_t> lengths;
    Tensor<T> dx, dh0, dc0, dpre;
    Activation activation = Activation::tanh;
    bool reverse = false;

    template <class Visit>
    void fields(Visit&& field) {
        field("weight_ih", weight_ih);
        field("weight_hh", weight_hh);
        if constexpr (is_gru<Cell>) field("h0", h0, optional);
        if constexpr (is_lstm<Cell>) field("c0", c0, optional);
        field("lengths", lengths, optional);
        if constexpr (is_gru<Cell>) field("y", y);
        if constexpr (is_lstm<Cell>) field("cells", cells);
        field("gates", gates);
        field("dy", dy, optional);
        field("dh_n", dh_n, optional);
        if constexpr (is_lstm<Cell>) field("dc_n", dc_n, optional);
        field("dx", dx, optional);
        field("dh0", dh0, optional);
        if constexpr (is_lstm<Cell>) field("dc0", dc0, optional);
        field("dpre", dpre);
        if constexpr (std::is_same_v<Cell, RnnCell>) field("activation", activation, kActivationNames);
        field("reverse", reverse);
    }
    BP_INLINE Sequences<T, Cell> sequences() const {
        return {gates.shape[0], gates.shape[1], weight_ih.shape[0], weight_hh.shape[0]};
    }
    const char* invalid() const {
        if (gates.ndim != 4) return "gates must be (B, T, K, H)";
        const auto s = sequences();
        if (const char* what = s.invalid(weight_ih, lengths, h0)) return what;
        if (!s.is_weight(weight_ih, s.inputs) || !s.is_weight(weight_hh, s.units))
            return "the weights must be (I, G, H) and (H, G, H)";
        for (const auto* state : {&c0, &dh_n, &dc_n})
            if (!is_matrix(*state, s.rows, s.units)) return "the states must be (B, H)";
        if (!is_matrix(dh0, s.rows, s.units) || !is_matrix(dc0, s.rows, s.units))
            return "the states must be (B, H)";
        for (const auto* sequence : {&y, &cells, &dy})
            if (!s.is_sequence(*sequence, s.units)) return "y and dy must be (B, T, H)";
        if (!s.is_sequence(dx, s.inputs)) return "dx must be (B, T, I)";
        if (activation != Activation::tanh && activation != Activation::relu)
            return "activation is no tanh or relu";
        return s.are_kept(gates) && s.are_kept(dpre) ? nullptr : "gates and dpre must be (B, T, K, H)";
    }
    double flops() const { return sequences().products() + 20.0 * double(gates.size()); }
    double bytes() const {
        return double(sizeof(T)) * double(2 * gates.size() + dx.size() + dy.size() + weight_hh.size());
    }
    BP_INLINE std::int64_t tasks() const { return sequences().tasks(); }
};

// dweight_ih = Σ xᵀ dpre, dweight_hh = Σ h₋₁ᵀ dpre, and the biases Σ dpre: over the steps that rows have.
// Tasks: pieces of the columns of dpre.
template <class T, class Cell>
struct RecurrentBackwardWeight {
    using Number = T;
    Tensor<const T> x, h0, y, dpre;
    Tensor<const std::int64_t> index, lengths;
    Tensor<T> dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtable;
    bool reverse = false;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("index", index, optional);
        field("h0", h0, optional);
        field("lengths", lengths, optional);
        field("y", y);
        field("dpre", dpre);
        field("dweight_ih", dweight_ih, optional);
        field("dweight_hh", dweight_hh, optional);
        field("dbias_ih", dbias_ih, optional);
        field("dbias_hh", dbias_hh, optional);
        field("dtable", dtable, optional);
        field("reverse", reverse);
    }
    BP_INLINE Sequences<T, Cell> sequences() const {
        return {x.shape[0], x.shape[1], x.shape[2], y.shape[2]};
    }
    const char* invalid() const {
        if (y.ndim != 3) return "y must be (B, T, H)";
        const auto s = sequences();
        if (const char* what = s.invalid(x, lengths, h0)) return what;
        if (!s.is_sequence(y, s.units)) return "y must be (B, T, H)";
        if (!s.is_weight(dweight_ih, s.inputs) || !s.is_weight(dweight_hh, s.units))
            return "the gradients of weights must be (I, G, H) and (H, G, H)";
        if (!all_have_size(Cell::gates * s.units, dbias_ih, dbias_hh))
            return "the gradients of biases must be (G, H)";
        if (!s.is_table(dtable) || !is_matrix(index, s.rows, s.steps))
            return "dtable must be (V, G, H), and index (B, T)";
        return s.are_kept(dpre) ? nullptr : "dpre must be (B, T, K, H)";
    }
    double flops() const { return sequences().products(); }
    double bytes() const { return double(sizeof(T)) * double(x.size() + y.size() + dpre.size()); }

    // Columns of dpre that belong to the same weights: of a GRU the last two of four parts differ.
    static constexpr std::int64_t kRuns = is_gru<Cell> ? 3 : 1, kColumns = 256, kMostSums = 1 << 16;
    static constexpr std::int64_t kColumnsInPlace = 128, kStepsInPlace = 16;
    struct Columns {
        std::int64_t begin, end;  // of dpre
        bool of_ih, of_hh;
        std::int64_t shift;  // from a column of dpre to one of dweight_hh
    };
    // Whether one task sums up all columns in scratch memory, and hands them out at its end: a step is then collected once.
    BP_INLINE bool at_once() const {
        const std::int64_t columns = Cell::kept * y.shape[2];
        return columns <= kColumns && (x.shape[2] + y.shape[2] + 1) * kColumns <= kMostSums &&
               (kRuns > 1 || in_place());
    }
    // Whether steps are read where they lie, sequence by sequence, and none is collected.
    BP_INLINE bool in_place() const {
        return Cell::kept * y.shape[2] <= kColumnsInPlace && y.shape[1] >= kStepsInPlace &&
               (x.shape[2] + y.shape[2] + 1) * kColumns <= kMostSums;
    }
    BP_INLINE std::int64_t runs() const { return at_once() ? 1 : kRuns; }
    BP_INLINE Columns run(std::int64_t number) const {
        const std::int64_t H = y.shape[2];
        if (!is_gru<Cell> || at_once()) return {0, Cell::kept * H, true, true, 0};
        if (number == 0) return {0, 2 * H, true, true, 0};
        return number == 1 ? Columns{2 * H, 3 * H, true, false, 0} : Columns{3 * H, 4 * H, false, true, -H};
    }
    // The columns of a task.
    BP_INLINE Columns columns(std::int64_t task) const {
        for (std::int64_t number = 0;; ++number) {
            Columns all = run(number);
            const std::int64_t count = pieces(all.end - all.begin, kColumns);
            if (task < count || number + 1 == runs()) {
                all.begin += task * kColumns;
                all.end = all.end - all.begin < kColumns ? all.end : all.begin + kColumns;
                return all;
            }
            task -= count;
        }
    }
    BP_INLINE std::int64_t tasks() const {
        std::int64_t count = 0;
        for (std::int64_t number = 0; number < runs(); ++number) {
            const Columns all = run(number);
            count += pieces(all.end - all.begin, kColumns);
        }
        return count;
    }
};

#define BACKPASS_RECURRENT(Name, Direction, Cell, text)      \
    template <class T>                                       \
    struct Name##Direction : Recurrent##Direction<T, Cell> { \
        static constexpr const char* name = text;            \
    };
BACKPASS_RECURRENT(Rnn, Forward, RnnCell, "rnn_forward")
BACKPASS_RECURRENT(Rnn, Backward, RnnCell, "rnn_backward")
BACKPASS_RECURRENT(Rnn, BackwardWeight, RnnCell, "rnn_backward_weight")
BACKPASS_RECURRENT(Lstm, Forward, LstmCell, "lstm_forward")
BACKPASS_RECURRENT(Lstm, Backward, LstmCell, "lstm_backward")
BACKPASS_RECURRENT(Lstm, BackwardWeight, LstmCell, "lstm_backward_weight")
BACKPASS_RECURRENT(Gru, Forward, GruCell, "gru_forward")
BACKPASS_RECURRENT(Gru, Backward, GruCell, "gru_backward")
BACKPASS_RECURRENT(Gru, BackwardWeight, GruCell, "gru_backward_weight")
#undef BACKPASS_RECURRENT

using RecurrentOps = BothDtypes<RnnForward, RnnBackward, RnnBackwardWeight, LstmForward, LstmBackward,
                                LstmBackwardWeight, GruForward, GruBackward, GruBackwardWeight>;

}  // namespace backpass
