// The arithmetic of one step of one row, forward and backward, for the three cells.
#pragma once
#include "../formulas.hpp"
#include "../vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// A row in its forward step: what the products gave, and where the results go. Kept arrays may be null.
template <class T>
struct ForwardStep {
    Index units;
    // W_ih x and W_hh h (G, H); of LSTM and RNN `from_h` is null and from_x holds their sum. Likewise the biases.
    const T *from_x, *from_h, *bias_x, *bias_h;
    T *h, *c, *y, *cells, *gates;
    Activation activation;
};

// h' = f(z)
template <class T>
BP_INLINE void forward_step(RnnCell, const ForwardStep<T>& s) {
    each_vector<T>(s.units, [&](Index j, int n) BP_INLINED {
        const vec<T> z = load_some(s.from_x + j, n) + load_some(s.bias_x + j, n);
        const vec<T> h = s.activation == Activation::tanh ? tanh(z) : value<Activation::relu>(z, T(0));
        store_some(s.h + j, h, n);
        store_some(s.y + j, h, n);
        if (s.gates) store_some(s.gates + j, h, n);
    });
}

// c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c')
template <class T>
BP_INLINE void forward_step(LstmCell, const ForwardStep<T>& s) {
    const Index H = s.units;
    each_vector<T>(H, [&](Index j, int n) BP_INLINED {
        const auto z = [&](Index gate) BP_INLINED {
            return load_some(s.from_x + gate * H + j, n) + load_some(s.bias_x + gate * H + j, n);
        };
        const vec<T> i = sigmoid(z(0)), f = sigmoid(z(1)), g = tanh(z(2)), o = sigmoid(z(3));
        const vec<T> c = f * load_some(s.c + j, n) + i * g, h = o * tanh(c);
        store_some(s.c + j, c, n);
        store_some(s.h + j, h, n);
        store_some(s.y + j, h, n);
        if (s.cells) store_some(s.cells + j, c, n);
        if (s.gates) {
            const vec<T> kept[] = {i, f, g, o};
            for (Index k = 0; k < 4; ++k) store_some(s.gates + k * H + j, kept[k], n);
        }
    });
}

// n = tanh(W_in x + b_in + σ(r) (W_hn h + b_hn)), h' = (1 - σ(z)) n + σ(z) h
template <class T>
BP_INLINE void forward_step(GruCell, const ForwardStep<T>& s) {
    const Index H = s.units;
    each_vector<T>(H, [&](Index j, int lanes) BP_INLINED {
        const auto x = [&](Index gate) BP_INLINED {
            return load_some(s.from_x + gate * H + j, lanes) + load_some(s.bias_x + gate * H + j, lanes);
        };
        const auto h = [&](Index gate) BP_INLINED {
            return load_some(s.from_h + gate * H + j, lanes) + load_some(s.bias_h + gate * H + j, lanes);
        };
        const vec<T> r = sigmoid(x(0) + h(0)), z = sigmoid(x(1) + h(1)), inner = h(2);
        const vec<T> n = tanh(x(2) + r * inner), before = load_some(s.h + j, lanes);
        const vec<T> after = n + z * (before - n);
        store_some(s.h + j, after, lanes);
        store_some(s.y + j, after, lanes);
        if (s.gates) {
            const vec<T> kept[] = {r, z, n, inner};
            for (Index k = 0; k < 4; ++k) store_some(s.gates + k * H + j, kept[k], lanes);
        }
    });
}

// A row in its backward step. dh and dc arrive as the gradients of the state behind the step, without dy.
template <class T>
struct BackwardStep {
    Index units;
    const T *gates, *cells, *before, *dy;  // before: c or h before the step; null: zeros
    T *dh, *dc, *dpre;
    // Gradients at the pre-activations (G, H), as the products read them: those of W_ih x, those of W_hh h.
    T *of_x, *of_h;
    Activation activation;
};

template <class T>
BP_INLINE void backward_step(RnnCell, const BackwardStep<T>& s) {
    each_vector<T>(s.units, [&](Index j, int n) BP_INLINED {
        const vec<T> h = load_some(s.gates + j, n);
        const vec<T> factor = s.activation == Activation::tanh ? slope<Activation::tanh>(h, T(0))
                                                               : slope<Activation::relu>(h, T(0));
        const vec<T> d = (load_some(s.dh + j, n) + load_or(T(0), s.dy, j, n)) * factor;
        store_some(s.dpre + j, d, n);
        store_some(s.of_x + j, d, n);
    });
}

template <class T>
BP_INLINE void backward_step(LstmCell, const BackwardStep<T>& s) {
    const Index H = s.units;
    each_vector<T>(H, [&](Index j, int n) BP_INLINED {
        const auto gate = [&](Index k) BP_INLINED { return load_some(s.gates + k * H + j, n); };
        const vec<T> i = gate(0), f = gate(1), g = gate(2), o = gate(3), c = tanh(load_some(s.cells + j, n));
        const vec<T> dh = load_some(s.dh + j, n) + load_or(T(0), s.dy, j, n);
        const vec<T> dc = load_some(s.dc + j, n) + dh * o * (T(1) - c * c);
        const vec<T> d[] = {dc * g * i * (T(1) - i), dc * load_or(T(0), s.before, j, n) * f * (T(1) - f),
                            dc * i * (T(1) - g * g), dh * c * o * (T(1) - o)};
        store_some(s.dc + j, dc * f, n);
        for (Index k = 0; k < 4; ++k) {
            store_some(s.dpre + k * H + j, d[k], n);
            store_some(s.of_x + k * H + j, d[k], n);
        }
    });
}

// dh is left as z dh: the product adds the rest.
template <class T>
BP_INLINE void backward_step(GruCell, const BackwardStep<T>& s) {
    const Index H = s.units;
    each_vector<T>(H, [&](Index j, int lanes) BP_INLINED {
        const auto gate = [&](Index k) BP_INLINED { return load_some(s.gates + k * H + j, lanes); };
        const vec<T> r = gate(0), z = gate(1), n = gate(2), inner = gate(3);
        const vec<T> dh = load_some(s.dh + j, lanes) + load_or(T(0), s.dy, j, lanes);
        const vec<T> dn = dh * (T(1) - z) * (T(1) - n * n);
        const vec<T> dz = dh * (load_or(T(0), s.before, j, lanes) - n) * z * (T(1) - z);
        const vec<T> d[] = {dn * inner * r * (T(1) - r), dz, dn, dn * r};
        store_some(s.dh + j, dh * z, lanes);
        for (Index k = 0; k < 4; ++k) store_some(s.dpre + k * H + j, d[k], lanes);
        for (Index k = 0; k < 3; ++k) {
            store_some(s.of_x + k * H + j, d[k], lanes);
            store_some(s.of_h + k * H + j, d[k == 2 ? 3 : k], lanes);
        }
    });
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
