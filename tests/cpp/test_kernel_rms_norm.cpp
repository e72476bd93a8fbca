// Normalisation by the root mean square of one ISA row, against loops in double.
#include "kernel_test.hpp"
#include "moments.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void rms_norm(T, int64_t rows, int64_t size, int64_t bits) {
    const bool affine = bits & 1, dx_wanted = bits % 3 != 2;
    const Array<T> x({rows, size}, -1, 3), dy({rows, size}), weight({size});
    const auto y = Array<T>::filled({rows, size}), dx = Array<T>::filled({rows, size});
    const auto inv_rms = Array<T>::filled({rows}), dweight = Array<T>::filled({size});
    RMSNormForward<T> forward;
    forward.x = x, forward.weight = given(affine, weight), forward.y = y, forward.inv_rms = inv_rms;
    forward.eps = kEps;
    run(forward);
    RMSNormBackward<T> backward;
    backward.x = x, backward.weight = given(affine, weight), backward.inv_rms = inv_rms, backward.dy = dy;
    backward.dx = when(dx_wanted, dx), backward.dweight = when(affine, dweight);
    run(backward);

    std::vector<double> dw(std::size_t(size), 0);
    for (int64_t r = 0; r < rows; ++r) {
        const auto at = [&](int64_t i) { return r * size + i; };
        double squares = 0;
        for (int64_t i = 0; i < size; ++i) squares += double(x[at(i)]) * double(x[at(i)]) / double(size);
        const double inv = 1 / std::sqrt(squares + kEps);
        CHECK(is_close(inv_rms[r], inv, kUlps));
        const auto normal = [&](int64_t i) { return double(x[at(i)]) * inv; };
        const auto g = [&](int64_t i) { return double(dy[at(i)]) * (affine ? double(weight[i]) : 1); };
        double slope = 0;
        for (int64_t i = 0; i < size; ++i) {
            slope += g(i) * normal(i) / double(size), dw[std::size_t(i)] += double(dy[at(i)]) * normal(i);
            CHECK(is_close(y[at(i)], normal(i) * (affine ? double(weight[i]) : 1), kUlps, 4));
        }
        for (int64_t i = 0; i < size && dx_wanted; ++i)
            CHECK(is_close(dx[at(i)], inv * (g(i) - normal(i) * slope), kUlps, 8 * inv));
    }
    for (int64_t i = 0; i < size && affine; ++i)
        CHECK(is_close(dweight[i], dw[std::size_t(i)], kUlps, double(rows)));
}

template <class T>
void check(T t) {
    for (int64_t n = 0; n <= 70; ++n) {
        for (const int64_t rows : {0, 1, 3, 130}) rms_norm(t, rows, n, n + rows);
        rms_norm(t, n, 40, n);
    }
    for (int64_t bits = 0; bits < 6; ++bits)
        rms_norm(t, 7, 1000, bits), rms_norm(t, 2, 5000, bits), rms_norm(t, 500, 65, bits);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
