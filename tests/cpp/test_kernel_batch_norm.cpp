// Batch normalisation of one ISA row, against loops in double.
#include "kernel_test.hpp"
#include "moments.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void batch_norm(T, int64_t rows, int64_t size, int64_t length, int64_t bits) {
    const bool affine = bits & 1, running = bits & 2, grads = bits % 5 != 4;
    const double momentum = bits & 4 ? 0.1 : -1;
    const Array<T> x({rows, size, length}, -1, 3), dy({rows, size, length}), weight({size}), bias({size});
    const Array<T> running_mean({size}), running_var({size}, 0.5, 2);
    const auto y = Array<T>::filled({rows, size, length}), dx = Array<T>::filled({rows, size, length});
    const auto mean = Array<T>::filled({size}), inv_std = Array<T>::filled({size});
    const auto var = Array<T>::filled({size});
    const auto dweight = Array<T>::filled({size}), dbias = Array<T>::filled({size});
    const auto batches = Array<int64_t>::filled({1}, 3);
    const std::vector<T> old_mean(running_mean.data(), running_mean.data() + size),
        old_var(running_var.data(), running_var.data() + size);

    BatchNormInference<T> inference;
    inference.x = x, inference.weight = given(affine, weight), inference.bias = given(affine, bias);
    inference.running_mean = running_mean, inference.running_var = running_var;
    inference.y = y, inference.eps = kEps;
    run(inference);
    const auto scale = [&](int64_t c) { return affine ? double(weight[c]) : 1; };
    const auto shift = [&](int64_t c) { return affine ? double(bias[c]) : 0; };
    for (int64_t i = 0; i < x.size(); ++i) {
        const int64_t c = i / length % size;
        const double normal = (double(x[i]) - double(old_mean[c])) / std::sqrt(double(old_var[c]) + kEps);
        CHECK(is_close(y[i], normal * scale(c) + shift(c), 32, 8));
    }

    BatchNormForward<T> forward;
    forward.x = x, forward.weight = given(affine, weight), forward.bias = given(affine, bias);
    forward.y = y, forward.mean = mean, forward.inv_std = inv_std, forward.var = when(running, var);
    forward.eps = kEps;
    run(forward);
    if (running) {
        BatchNormTrack<T> track;
        track.mean = mean, track.var = var, track.batches = batches;
        track.running_mean = running_mean, track.running_var = running_var;
        track.count = rows * length, track.momentum = momentum;
        run(track);
        CHECK(batches[0] == 4);
    }

    BatchNormBackward<T> backward;
    backward.x = x, backward.weight = given(affine, weight), backward.mean = mean, backward.inv_std = inv_std;
    backward.dy = dy, backward.dx = when(grads, dx);
    backward.dweight = when(affine, dweight), backward.dbias = when(affine, dbias);
    run(backward);

    const int64_t count = rows * length;
    for (int64_t c = 0; c < size; ++c) {
        const auto at = [&](int64_t k) { return (k / length * size + c) * length + k % length; };
        const Moments m(count, [&](int64_t k) { return double(x[at(k)]); });
        const double inv = 1 / std::sqrt(m.var + kEps), mixed = momentum < 0 ? 1.0 / 4 : momentum;
        CHECK(is_close(mean[c], m.mean, 16, 3) && is_close(inv_std[c], inv, kUlps));
        if (running && count > 1) {
            const double unbiased = m.var * double(count) / double(count - 1);
            CHECK(is_close(running_mean[c], (1 - mixed) * double(old_mean[c]) + mixed * m.mean, 16, 3));
            CHECK(is_close(running_var[c], (1 - mixed) * double(old_var[c]) + mixed * unbiased, 16, 9));
        }
        double db = 0, dw = 0;
        const auto normal = [&](int64_t k) { return (double(x[at(k)]) - m.mean) * inv; };
        for (int64_t k = 0; k < count; ++k) {
            db += double(dy[at(k)]), dw += double(dy[at(k)]) * normal(k);
            CHECK(is_close(y[at(k)], normal(k) * scale(c) + shift(c), kUlps, 4));
        }
        if (affine)
            CHECK(is_close(dbias[c], db, 16, double(count)) &&
                  is_close(dweight[c], dw, kUlps, double(count)));
        for (int64_t k = 0; k < count && grads; ++k) {
            const double want = scale(c) * inv * (double(dy[at(k)]) - (db + normal(k) * dw) / double(count));
            CHECK(is_close(dx[at(k)], want, kUlps, 4 * inv));
        }
    }
}

template <class T>
void check(T t) {
    for (int64_t n = 0; n <= 70; ++n) {
        for (const int64_t rows : {2, 3, 66})
            batch_norm(t, rows, n, 1, n + rows), batch_norm(t, rows, n, 3, n + rows);
        batch_norm(t, 3, 2, n, n), batch_norm(t, n, 3, 1, n), batch_norm(t, n, 2, 5, n + 1);
    }
    for (int64_t bits = 0; bits < 8; ++bits) batch_norm(t, 5, 133, 1, bits), batch_norm(t, 2, 65, 9, bits);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
