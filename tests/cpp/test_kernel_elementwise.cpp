// Activations, addition and integers as numbers of one ISA row, against formulas in double.
#include "laid.hpp"
#include "naive.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void activation(T, int64_t size, Activation which, bool slope) {
    const Array<T> x({size}, -4, 4), dy({size});
    const auto y = Array<T>::filled({size}), kept = Array<T>::filled({size}), dx = Array<T>::filled({size});
    ActivationForward<T> forward;
    forward.x = x, forward.y = y, forward.slope = when(slope, kept);
    forward.activation = which, forward.alpha = naive::kAlpha;
    run(forward);
    ActivationBackward<T> backward;
    backward.y = y, backward.slope = given(slope, kept), backward.dy = dy, backward.dx = dx;
    backward.activation = which, backward.alpha = naive::kAlpha;
    run(backward);
    for (int64_t i = 0; i < size; ++i) {
        const double z = double(x[i]), s = naive::slope(which, z);
        CHECK(is_close(y[i], naive::value(which, z), 8, 4));
        if (slope) CHECK(is_close(kept[i], s, 16));
        if (slope || !stores_slope(which)) CHECK(is_close(dx[i], s * double(dy[i]), 16, 4));
    }
}

template <class T>
void add(T, int64_t size) {
    const Array<T> a({size}), b({size});
    const auto y = Array<T>::filled({size});
    Add<T> op;
    op.a = a, op.b = b, op.y = y;
    run(op);
    for (int64_t i = 0; i < size; ++i) CHECK(y[i] == a[i] + b[i]);
}

template <class T>
void to_number(T, int64_t size) {
    for (const Lies lies : kLies) {
        const Laid<int64_t> x({size, 3}, lies, -1e15, 1e15);
        const auto y = Array<T>::filled({size, 3});
        ToNumber<T> op;
        op.x = x, op.y = y;
        run(op);
        for (int64_t i = 0; i < y.size(); ++i) CHECK(y[i] == T(x[i]));
    }
}

template <class T>
void check(T t) {
    std::vector<int64_t> sizes{kElementPiece - 1, kElementPiece, 2 * kElementPiece + 91};
    for (int64_t n = 0; n <= 70; ++n) sizes.push_back(n);
    for (const int64_t n : sizes) {
        add(t, n), to_number(t, n);
        for (const Activation which : naive::kActivations)
            activation(t, n, which, false), activation(t, n, which, true);
    }
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
