// Batch normalisation by parts of rows, of one ISA row, against loops in double.
#include "kernel_test.hpp"
#include "moments.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void batch_norm_rows(T, int64_t rows, int64_t size, int64_t parts, int64_t bits) {
    const bool affine = bits & 1, running = bits & 2, dx_wanted = bits % 5 != 4;
    const Array<T> x({rows, size}, -1, 3), dy({rows, size}), weight({size}), bias({size});
    const bool beside = bits % 3 == 1;
    const Activation activation = bits % 4 == 1   ? Activation::relu
                                  : bits % 4 == 2 ? Activation::silu
                                                  : Activation::identity;
    const Array<T> other({rows, size});
    const auto slope = Array<T>::filled({rows, size});
    const auto y = Array<T>::filled({rows, size}), dx = Array<T>::filled({rows, size});
    const auto mean = Array<T>::filled({size}), inv_std = Array<T>::filled({size});
    const auto var = Array<T>::filled({size});
    const auto dweight = Array<T>::filled({size}), dbias = Array<T>::filled({size});
    const auto a = Array<double>::filled({parts, size}), b = Array<double>::filled({parts, size});
    BatchNormMoments<T> moments;
    moments.x = x, moments.means = a, moments.squares = b;
    run(moments);
    for (int64_t p = 0; p < parts; ++p) {
        const int64_t each = (rows + parts - 1) / parts, begin = std::min(p * each, rows);
        const int64_t n = std::min(begin + each, rows) - begin;
        for (int64_t c = 0; c < size; ++c) {
            const Moments m(n, [&](int64_t r) { return double(x[(begin + r) * size + c]); });
            CHECK(is_close(T(a[p * size + c]), m.mean, 16, 3));
            CHECK(is_close(T(b[p * size + c]), m.var * double(n), 16, 9 * double(n)));
        }
    }
    BatchNormRows<T> forward;
    forward.x = x, forward.weight = given(affine, weight), forward.bias = given(affine, bias);
    forward.means = a, forward.squares = b, forward.y = y, forward.mean = mean, forward.inv_std = inv_std;
    forward.var = when(running, var), forward.eps = kEps;
    forward.other = given(beside, other), forward.activation = activation;
    forward.slope = when(activation == Activation::silu, slope);
    run(forward);
    BatchNormRowsBackward<T> sums;
    sums.x = x, sums.mean = mean, sums.inv_std = inv_std, sums.dy = dy, sums.slopes = a, sums.shifts = b;
    run(sums);
    BatchNormRowsBackwardWeight<T> backward;
    backward.x = x, backward.weight = given(affine, weight), backward.mean = mean, backward.inv_std = inv_std;
    backward.dy = dy, backward.slopes = a, backward.shifts = b, backward.dx = when(dx_wanted, dx);
    backward.dweight = when(affine, dweight), backward.dbias = when(affine, dbias);
    run(backward);

    for (int64_t c = 0; c < size; ++c) {
        const auto at = [&](int64_t r) { return r * size + c; };
        const Moments m(rows, [&](int64_t r) { return double(x[at(r)]); });
        const double inv = 1 / std::sqrt(m.var + kEps), scale = affine ? double(weight[c]) : 1;
        CHECK(is_close(mean[c], m.mean, 16, 3) && is_close(inv_std[c], inv, kUlps));
        if (running) CHECK(is_close(var[c], m.var, 16, 9));
        const auto normal = [&](int64_t r) { return (double(x[at(r)]) - m.mean) * inv; };
        double db = 0, dw = 0;
        for (int64_t r = 0; r < rows; ++r) {
            db += double(dy[at(r)]), dw += double(dy[at(r)]) * normal(r);
            double z =
                normal(r) * scale + (affine ? double(bias[c]) : 0) + (beside ? double(other[at(r)]) : 0);
            if (activation == Activation::relu && z < 0) z = 0;
            if (activation == Activation::silu) {
                const double s = 1 / (1 + std::exp(-z));
                CHECK(is_close(slope[at(r)], s * (1 + z * (1 - s)), kUlps, 4));
                z *= s;
            }
            CHECK(is_close(y[at(r)], z, kUlps, 4));
        }
        if (affine)
            CHECK(is_close(dbias[c], db, 16, double(rows)) && is_close(dweight[c], dw, kUlps, double(rows)));
        for (int64_t r = 0; r < rows && dx_wanted; ++r) {
            const double want = scale * inv * (double(dy[at(r)]) - (db + normal(r) * dw) / double(rows));
            CHECK(is_close(dx[at(r)], want, kUlps, 4 * inv));
        }
    }
}

template <class T>
void check(T t) {
    for (int64_t n = 0; n <= 70; ++n) {
        for (const int64_t parts : {1, 2, 7}) batch_norm_rows(t, 40, n, parts, n + parts);
        batch_norm_rows(t, n, 5, 1, n), batch_norm_rows(t, n, 17, 6, n + 1);
        batch_norm_rows(t, n, 3, 33, n);  // more parts than rows
    }
    for (int64_t bits = 0; bits < 8; ++bits)
        batch_norm_rows(t, 3000, 16, 4, bits), batch_norm_rows(t, 70, 133, 3, bits);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
