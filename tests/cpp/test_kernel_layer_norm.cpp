// Layer normalisation of one ISA row, against loops in double.
#include "kernel_test.hpp"
#include "moments.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void layer_norm(T, int64_t rows, int64_t size, int64_t bits) {
    const bool affine = bits & 1, dx_wanted = bits % 3 != 2;
    const Array<T> x({rows, size}, -1, 3), dy({rows, size}), weight({size}), bias({size});
    const auto y = Array<T>::filled({rows, size}), dx = Array<T>::filled({rows, size});
    const auto mean = Array<T>::filled({rows}), inv_std = Array<T>::filled({rows});
    const auto dweight = Array<T>::filled({size}), dbias = Array<T>::filled({size});
    LayerNormForward<T> forward;
    forward.x = x, forward.weight = given(affine, weight), forward.bias = given(affine, bias);
    forward.y = y, forward.mean = mean, forward.inv_std = inv_std, forward.eps = kEps;
    run(forward);
    LayerNormBackward<T> backward;
    backward.x = x, backward.weight = given(affine, weight), backward.mean = mean, backward.inv_std = inv_std;
    backward.dy = dy, backward.dx = when(dx_wanted, dx);
    backward.dweight = when(affine, dweight), backward.dbias = when(affine, dbias);
    run(backward);

    std::vector<double> dw(std::size_t(size), 0), db(std::size_t(size), 0);
    for (int64_t r = 0; r < rows; ++r) {
        const auto at = [&](int64_t i) { return r * size + i; };
        const Moments m(size, [&](int64_t i) { return double(x[at(i)]); });
        const double inv = 1 / std::sqrt(m.var + kEps);
        if (size > 0) CHECK(is_close(mean[r], m.mean, 16, 3) && is_close(inv_std[r], inv, kUlps));
        const auto normal = [&](int64_t i) { return (double(x[at(i)]) - m.mean) * inv; };
        const auto g = [&](int64_t i) { return double(dy[at(i)]) * (affine ? double(weight[i]) : 1); };
        double shift = 0, slope = 0;
        for (int64_t i = 0; i < size; ++i) {
            shift += g(i) / double(size), slope += g(i) * normal(i) / double(size);
            db[std::size_t(i)] += double(dy[at(i)]), dw[std::size_t(i)] += double(dy[at(i)]) * normal(i);
            const double want = normal(i) * (affine ? double(weight[i]) : 1) + (affine ? double(bias[i]) : 0);
            CHECK(is_close(y[at(i)], want, kUlps, 4));
        }
        for (int64_t i = 0; i < size && dx_wanted; ++i)
            CHECK(is_close(dx[at(i)], inv * (g(i) - shift - normal(i) * slope), kUlps, 8 * inv));
    }
    for (int64_t i = 0; i < size && affine; ++i) {
        CHECK(is_close(dbias[i], db[std::size_t(i)], 16, double(rows)));
        CHECK(is_close(dweight[i], dw[std::size_t(i)], kUlps, double(rows)));
    }
}

template <class T>
void check(T t) {
    for (int64_t n = 0; n <= 70; ++n) {
        for (const int64_t rows : {0, 1, 3, 130}) layer_norm(t, rows, n, n + rows);
        layer_norm(t, n, 40, n);
    }
    for (int64_t bits = 0; bits < 8; ++bits)
        layer_norm(t, 7, 1000, bits), layer_norm(t, 2, 5000, bits), layer_norm(t, 500, 65, bits);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
