// Recurrent layers of one ISA row, against plain loops in double.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;
using Values = std::vector<double>;

double sigma(double x) { return 1 / (1 + std::exp(-x)); }

// One row of one case by loops: its outputs, and the gradients of Σ weights · y + of the last states.
template <class Cell>
struct Naive {
    int64_t I = 0, H = 0, length = 0;
    bool relu = false;
    std::function<double(int64_t, int64_t)> x, weight_ih, weight_hh;  // (step, i), (i, column), (k, column)
    Values bias_ih, bias_hh, h, c;
    std::vector<Values> hs, cs, kept;  // before each step and behind the last; kept: of each step

    void run() {
        const int64_t G = Cell::gates * H;
        hs = {h}, cs = {c};
        for (int64_t t = 0; t < length; ++t) {
            Values from_x(bias_ih), from_h(bias_hh), next_h(h), next_c(c), keep(std::size_t(Cell::kept * H));
            for (int64_t g = 0; g < G; ++g) {
                for (int64_t i = 0; i < I; ++i) from_x[std::size_t(g)] += x(t, i) * weight_ih(i, g);
                for (int64_t k = 0; k < H; ++k) from_h[std::size_t(g)] += h[std::size_t(k)] * weight_hh(k, g);
            }
            for (int64_t j = 0; j < H; ++j) {
                const auto at = [&](int64_t gate) { return std::size_t(gate * H + j); };
                const auto sum = [&](int64_t gate) { return from_x[at(gate)] + from_h[at(gate)]; };
                if constexpr (is_lstm<Cell>) {
                    keep[at(0)] = sigma(sum(0)), keep[at(1)] = sigma(sum(1));
                    keep[at(2)] = std::tanh(sum(2)), keep[at(3)] = sigma(sum(3));
                    next_c[at(0)] = keep[at(1)] * c[at(0)] + keep[at(0)] * keep[at(2)];
                    next_h[at(0)] = keep[at(3)] * std::tanh(next_c[at(0)]);
                } else if constexpr (is_gru<Cell>) {
                    keep[at(0)] = sigma(sum(0)), keep[at(1)] = sigma(sum(1)), keep[at(3)] = from_h[at(2)];
                    keep[at(2)] = std::tanh(from_x[at(2)] + keep[at(0)] * from_h[at(2)]);
                    next_h[at(0)] = (1 - keep[at(1)]) * keep[at(2)] + keep[at(1)] * h[at(0)];
                } else {
                    next_h[at(0)] = relu ? std::max(sum(0), 0.0) : std::tanh(sum(0));
                    keep[at(0)] = next_h[at(0)];
                }
            }
            h = next_h, c = next_c;
            hs.push_back(h), cs.push_back(c), kept.push_back(keep);
        }
    }
    // The gradient at the pre-activations of step t, for dh and dc behind it, which become those before it.
    Values back(int64_t t, Values& dh, Values& dc) const {
        Values d(std::size_t(Cell::kept * H)), before(std::size_t(H), 0);
        for (int64_t j = 0; j < H; ++j) {
            const auto at = [&](int64_t gate) { return std::size_t(gate * H + j); };
            const Values& k = kept[std::size_t(t)];
            const double out = dh[at(0)];
            if constexpr (is_lstm<Cell>) {
                const double bent = std::tanh(cs[std::size_t(t + 1)][at(0)]);
                const double flow = dc[at(0)] + out * k[at(3)] * (1 - bent * bent);
                d[at(0)] = flow * k[at(2)] * k[at(0)] * (1 - k[at(0)]);
                d[at(1)] = flow * cs[std::size_t(t)][at(0)] * k[at(1)] * (1 - k[at(1)]);
                d[at(2)] = flow * k[at(0)] * (1 - k[at(2)] * k[at(2)]);
                d[at(3)] = out * bent * k[at(3)] * (1 - k[at(3)]);
                dc[at(0)] = flow * k[at(1)];
            } else if constexpr (is_gru<Cell>) {
                const double dn = out * (1 - k[at(1)]) * (1 - k[at(2)] * k[at(2)]);
                d[at(0)] = dn * k[at(3)] * k[at(0)] * (1 - k[at(0)]);
                d[at(1)] = out * (hs[std::size_t(t)][at(0)] - k[at(2)]) * k[at(1)] * (1 - k[at(1)]);
                d[at(2)] = dn, d[at(3)] = dn * k[at(0)];
                before[at(0)] = out * k[at(1)];
            } else {
                d[at(0)] = relu ? (k[at(0)] > 0 ? out : 0) : out * (1 - k[at(0)] * k[at(0)]);
            }
        }
        for (int64_t k = 0; k < H; ++k)
            for (int64_t g = 0; g < Cell::gates * H; ++g)
                before[std::size_t(k)] += of_h(d, g) * weight_hh(k, g);
        dh = before;
        return d;
    }
    // What stands in column g for the products with h: of a GRU's n another part.
    double of_h(const Values& d, int64_t g) const {
        return d[std::size_t(is_gru<Cell> && g >= 2 * H ? g + H : g)];
    }
};

// bits: bias, first states, lengths, reverse, dy, last gradients, relu.
template <class Cell, template <class> class Forward, template <class> class Backward,
          template <class> class BackwardWeight, class T>
void recurrent(T, int64_t B, int64_t T_, int64_t I, int64_t H, int64_t bits) {
    constexpr int64_t G = Cell::gates, K = Cell::kept;
    const bool biased = bits & 1, started = bits & 2, ends = bits & 4, reverse = bits & 8,
               flows = !(bits & 16), last = bits & 32, relu = bits & 64;
    const double range = 1 / std::sqrt(double(std::max<int64_t>(H + I, 1)));
    const Array<T> x({B, T_, I}), weight_ih({I, G, H}, -range, range), weight_hh({H, G, H}, -range, range);
    const Array<T> bias_ih({G, H}, -.5, .5), bias_hh({G, H}, -.5, .5), h0({B, H}, -1, 1), c0({B, H}, -1, 1);
    const Array<int64_t> lengths({B}, -1, double(T_ + 2));  // some are forged
    const Array<T> dy({B, T_, H}, -1, 1), dh_n({B, H}, -1, 1), dc_n({B, H}, -1, 1);
    const auto y = Array<T>::filled({B, T_, H}), h_n = Array<T>::filled({B, H}),
               c_n = Array<T>::filled({B, H});
    const auto cells = Array<T>::filled({B, T_, H}), gates = Array<T>::filled({B, T_, K, H});
    const auto dx = Array<T>::filled({B, T_, I}), dh0 = Array<T>::filled({B, H}),
               dc0 = Array<T>::filled({B, H});
    const auto dpre = Array<T>::filled({B, T_, K, H});
    const auto dweight_ih = Array<T>::filled({I, G, H}), dweight_hh = Array<T>::filled({H, G, H});
    const auto dbias_ih = Array<T>::filled({G, H}), dbias_hh = Array<T>::filled({G, H});

    Forward<T> forward;
    forward.x = x, forward.weight_ih = weight_ih, forward.weight_hh = weight_hh;
    forward.bias_ih = given(biased, bias_ih), forward.bias_hh = given(biased, bias_hh);
    forward.h0 = given(started, h0), forward.lengths = given(ends, lengths), forward.reverse = reverse;
    forward.y = y, forward.h_n = h_n, forward.gates = gates;
    Backward<T> backward;
    backward.weight_ih = weight_ih, backward.weight_hh = weight_hh, backward.lengths = forward.lengths;
    backward.gates = gates, backward.dy = given(flows, dy), backward.dh_n = given(last, dh_n);
    backward.dx = dx, backward.dh0 = when(started, dh0), backward.dpre = dpre, backward.reverse = reverse;
    if constexpr (is_lstm<Cell>) {
        forward.c0 = given(started, c0), forward.c_n = c_n, forward.cells = cells;
        backward.c0 = forward.c0, backward.cells = cells, backward.dc_n = given(last, dc_n);
        backward.dc0 = when(started, dc0);
    } else if constexpr (is_gru<Cell>) {
        backward.h0 = forward.h0, backward.y = y;
    } else {
        forward.activation = backward.activation = relu ? Activation::relu : Activation::tanh;
    }
    BackwardWeight<T> gradient;
    gradient.x = x, gradient.h0 = forward.h0, gradient.lengths = forward.lengths, gradient.y = y;
    gradient.dpre = dpre, gradient.reverse = reverse;
    gradient.dweight_ih = dweight_ih, gradient.dweight_hh = dweight_hh;
    gradient.dbias_ih = when(biased, dbias_ih), gradient.dbias_hh = when(biased, dbias_hh);
    run(forward), run(backward), run(gradient);

    Values dw_ih(std::size_t(I * G * H), 0), dw_hh(std::size_t(H * G * H), 0), db_ih(std::size_t(G * H), 0),
        db_hh(db_ih);
    const double size = 4;
    const auto close = [&](double got, double want, double scale) {
        return is_close(T(got), want, 64, scale);
    };
    for (int64_t b = 0; b < B; ++b) {
        const int64_t end = ends ? std::clamp<int64_t>(lengths[b], 0, T_) : T_;
        const auto time = [&](int64_t step) { return reverse ? end - 1 - step : step; };
        Naive<Cell> naive;
        naive.I = I, naive.H = H, naive.length = end, naive.relu = relu;
        naive.x = [&](int64_t step, int64_t i) { return double(x[(b * T_ + time(step)) * I + i]); };
        naive.weight_ih = [&](int64_t i, int64_t g) { return double(weight_ih[i * G * H + g]); };
        naive.weight_hh = [&](int64_t k, int64_t g) { return double(weight_hh[k * G * H + g]); };
        for (int64_t g = 0; g < G * H; ++g) {
            naive.bias_ih.push_back(biased ? double(bias_ih[g]) : 0);
            naive.bias_hh.push_back(biased ? double(bias_hh[g]) : 0);
        }
        for (int64_t j = 0; j < H; ++j) {
            naive.h.push_back(started ? double(h0[b * H + j]) : 0);
            naive.c.push_back(started ? double(c0[b * H + j]) : 0);
        }
        naive.run();
        Values dh(std::size_t(H), 0), dc(std::size_t(H), 0);
        for (int64_t j = 0; j < H; ++j) {
            CHECK(close(h_n[b * H + j], naive.h[std::size_t(j)], size));
            if (is_lstm<Cell>) CHECK(close(c_n[b * H + j], naive.c[std::size_t(j)], size));
            if (last) dh[std::size_t(j)] = dh_n[b * H + j], dc[std::size_t(j)] = dc_n[b * H + j];
            for (int64_t t = end; t < T_; ++t) CHECK(y[(b * T_ + t) * H + j] == 0);
        }
        for (int64_t t = end; t < T_; ++t)
            for (int64_t k = 0; k < K * H; ++k) CHECK(dpre[(b * T_ + t) * K * H + k] == 0);
        for (int64_t step = end; step-- > 0;) {
            const int64_t at = b * T_ + time(step);
            for (int64_t j = 0; j < H; ++j) {
                CHECK(close(y[at * H + j], naive.hs[std::size_t(step + 1)][std::size_t(j)], size));
                if (flows) dh[std::size_t(j)] += dy[at * H + j];
            }
            const Values d = naive.back(step, dh, dc);
            for (int64_t k = 0; k < K * H; ++k)
                CHECK(close(dpre[at * K * H + k], d[std::size_t(k)], 4 * size));
            for (int64_t i = 0; i < I; ++i) {
                double want = 0;
                for (int64_t g = 0; g < G * H; ++g) {
                    want += d[std::size_t(g)] * naive.weight_ih(i, g);
                    dw_ih[std::size_t(i * G * H + g)] += naive.x(step, i) * d[std::size_t(g)];
                }
                CHECK(close(dx[at * I + i], want, 4 * size));
            }
            for (int64_t g = 0; g < G * H; ++g) {
                db_ih[std::size_t(g)] += d[std::size_t(g)], db_hh[std::size_t(g)] += naive.of_h(d, g);
                for (int64_t k = 0; k < H; ++k)
                    dw_hh[std::size_t(k * G * H + g)] +=
                        naive.hs[std::size_t(step)][std::size_t(k)] * naive.of_h(d, g);
            }
        }
        for (int64_t j = 0; j < H && started; ++j) {
            CHECK(close(dh0[b * H + j], dh[std::size_t(j)], 4 * size));
            if (is_lstm<Cell>) CHECK(close(dc0[b * H + j], dc[std::size_t(j)], 4 * size));
        }
    }
    const double tokens = 4 + double(B * T_);
    for (int64_t k = 0; k < I * G * H; ++k) CHECK(close(dweight_ih[k], dw_ih[std::size_t(k)], tokens));
    for (int64_t k = 0; k < H * G * H; ++k) CHECK(close(dweight_hh[k], dw_hh[std::size_t(k)], tokens));
    for (int64_t g = 0; g < G * H && biased; ++g) {
        CHECK(close(dbias_ih[g], db_ih[std::size_t(g)], tokens));
        CHECK(close(dbias_hh[g], db_hh[std::size_t(g)], tokens));
    }
}

template <class T>
void each_cell(T t, int64_t B, int64_t steps, int64_t I, int64_t H, int64_t bits) {
    recurrent<RnnCell, RnnForward, RnnBackward, RnnBackwardWeight>(t, B, steps, I, H, bits);
    recurrent<LstmCell, LstmForward, LstmBackward, LstmBackwardWeight>(t, B, steps, I, H, bits);
    recurrent<GruCell, GruForward, GruBackward, GruBackwardWeight>(t, B, steps, I, H, bits);
}

// With a table and an index instead of x: the bits of an x that has a 1 at the index; NaN where there is no such row.
template <class Cell, template <class> class Forward, template <class> class BackwardWeight, class T>
void looked_up(T, int64_t H, bool reverse) {
    constexpr int64_t B = 3, T_ = 4, V = 5, G = Cell::gates, K = Cell::kept;
    const Array<T> table({V, G, H}, -.5, .5), weight_hh({H, G, H}, -.2, .2), nothing({B, T_, 0});
    const Array<T> no_weight({0, G, H});
    const Array<int64_t> index({B, T_}, 0, double(V)), lengths({B}, 0, double(T_ + 1));
    const auto x = Array<T>::filled({B, T_, V});
    for (int64_t k = 0; k < B * T_ * V; ++k) x.data()[k] = T(index[k / V] == k % V);
    const auto y = Array<T>::filled({B, T_, H}), want = Array<T>::filled({B, T_, H});
    const auto h_n = Array<T>::filled({B, H}), c_n = Array<T>::filled({B, H});
    Forward<T> op;
    op.x = x, op.weight_ih = table, op.weight_hh = weight_hh, op.lengths = lengths, op.reverse = reverse;
    op.y = want, op.h_n = h_n;
    if constexpr (is_lstm<Cell>) op.c_n = c_n;
    run(op);
    op.x = nothing, op.weight_ih = no_weight, op.table = table, op.index = index, op.y = y;
    run(op);
    for (int64_t k = 0; k < B * T_ * H; ++k) CHECK(y[k] == want[k]);

    const Array<T> dpre({B, T_, K, H}, -1, 1);
    const auto dtable = Array<T>::filled({V, G, H}), dweight = Array<T>::filled({V, G, H});
    BackwardWeight<T> gradient;
    gradient.x = x, gradient.lengths = lengths, gradient.y = want, gradient.dpre = dpre;
    gradient.reverse = reverse, gradient.dweight_ih = dweight;
    run(gradient);
    gradient.x = nothing, gradient.dweight_ih = {}, gradient.index = index, gradient.dtable = dtable;
    run(gradient);
    for (int64_t k = 0; k < V * G * H; ++k) CHECK(is_close(dtable[k], double(dweight[k]), 64, 12));

    for (const int64_t forged : {int64_t(-1), V, INT64_MIN, INT64_MAX}) {
        for (int64_t k = 0; k < B * T_; ++k) index.data()[k] = forged;
        run(op), run(gradient);
        for (int64_t b = 0; b < B; ++b)
            if (lengths[b] > 0) CHECK(std::isnan(h_n[b * H]));
        for (int64_t k = 0; k < V * G * H; ++k) CHECK(dtable[k] == 0);
    }
}

template <class T>
void check(T t) {
    for (const int64_t H : {1, 17, 90})
        for (const bool reverse : {false, true}) {
            looked_up<RnnCell, RnnForward, RnnBackwardWeight>(t, H, reverse);
            looked_up<LstmCell, LstmForward, LstmBackwardWeight>(t, H, reverse);
            looked_up<GruCell, GruForward, GruBackwardWeight>(t, H, reverse);
        }
    for (int64_t bits = 0; bits < 128; ++bits) each_cell(t, 11, 5, 3, 6, bits);
    for (const int64_t size : {0, 1, 2, 7, 8, 15, 16, 17, 31, 33}) {
        each_cell(t, size, 4, 3, 5, 7 + size);
        each_cell(t, 3, size, 3, 5, 15 + size);
        each_cell(t, 3, 4, size, 5, 7 + size);
        each_cell(t, 9, 4, 3, size, 15 + size);
    }
    // Rows in lanes, of more than one task; steps in chunks; sequences whose steps the weight gradient reads in place.
    for (const int64_t H : {3, 4, 8})
        for (const int64_t bits : {0, 7, 15, 46, 43, 25}) each_cell(t, 43, 19, 2, H, bits);
    each_cell(t, 9, 18, 3, 33, 15);
    each_cell(t, 2, 300, 2, 3, 7);  // more steps than a block of the weight gradient
    // Weights that have no room in scratch memory.
    recurrent<LstmCell, LstmForward, LstmBackward, LstmBackwardWeight>(t, 35, 2, 300, 260, 15);
    recurrent<GruCell, GruForward, GruBackward, GruBackwardWeight>(t, 3, 2, 5, 420, 7);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
