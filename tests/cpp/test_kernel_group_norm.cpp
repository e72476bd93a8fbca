// Group normalisation of one ISA row, against loops in double.
#include "kernel_test.hpp"
#include "moments.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void group_norm(T, int64_t samples, int64_t length, int64_t groups, int64_t channels, int64_t bits) {
    const bool affine = bits & 1, dx_wanted = bits % 3 != 2;
    const std::vector<int64_t> shape{samples, length, groups, channels};
    const Array<T> x(shape, -1, 3), dy(shape), weight({groups, channels}), bias({groups, channels});
    const auto y = Array<T>::filled(shape), dx = Array<T>::filled(shape);
    const auto mean = Array<T>::filled({samples, groups}), inv_std = Array<T>::filled({samples, groups});
    const auto slopes = Array<T>::filled({samples, groups, channels});
    const auto shifts = Array<T>::filled({samples, groups, channels});
    const auto dweight = Array<T>::filled({groups, channels}), dbias = Array<T>::filled({groups, channels});
    GroupNormForward<T> forward;
    forward.x = x, forward.weight = given(affine, weight), forward.bias = given(affine, bias);
    forward.y = y, forward.mean = mean, forward.inv_std = inv_std, forward.eps = kEps;
    run(forward);
    GroupNormBackward<T> backward;
    backward.x = x, backward.weight = given(affine, weight), backward.mean = mean, backward.inv_std = inv_std;
    backward.dy = dy, backward.dx = when(dx_wanted, dx), backward.slopes = slopes, backward.shifts = shifts;
    run(backward);
    GroupNormBackwardWeight<T> last;
    last.slopes = slopes, last.shifts = shifts;
    last.dweight = when(affine, dweight), last.dbias = when(affine, dbias);
    run(last);

    const int64_t all = groups * channels, count = length * channels;
    std::vector<double> dw(std::size_t(all), 0), db(std::size_t(all), 0);
    for (int64_t b = 0; b < samples; ++b)
        for (int64_t g = 0; g < groups; ++g) {
            // element k of a group, and its channel
            const auto channel = [&](int64_t k) { return g * channels + k % channels; };
            const auto at = [&](int64_t k) { return (b * length + k / channels) * all + channel(k); };
            const auto scale = [&](int64_t k) { return affine ? double(weight[channel(k)]) : 1; };
            const Moments m(count, [&](int64_t k) { return double(x[at(k)]); });
            const double inv = 1 / std::sqrt(m.var + kEps);
            CHECK(is_close(mean[b * groups + g], m.mean, 16, 3));
            CHECK(is_close(inv_std[b * groups + g], inv, kUlps));
            const auto normal = [&](int64_t k) { return (double(x[at(k)]) - m.mean) * inv; };
            double shift = 0, slope = 0;
            for (int64_t k = 0; k < count; ++k) {
                const double d = double(dy[at(k)]);
                shift += d * scale(k) / double(count), slope += d * scale(k) * normal(k) / double(count);
                db[std::size_t(channel(k))] += d, dw[std::size_t(channel(k))] += d * normal(k);
                const double want = normal(k) * scale(k) + (affine ? double(bias[channel(k)]) : 0);
                CHECK(is_close(y[at(k)], want, kUlps, 4));
            }
            for (int64_t k = 0; k < count && dx_wanted; ++k) {
                const double want = inv * (double(dy[at(k)]) * scale(k) - shift - normal(k) * slope);
                CHECK(is_close(dx[at(k)], want, kUlps, 8 * inv));
            }
        }
    for (int64_t c = 0; c < all && affine; ++c) {
        CHECK(is_close(dbias[c], db[std::size_t(c)], 16, double(samples * length)));
        CHECK(is_close(dweight[c], dw[std::size_t(c)], kUlps, double(samples * length)));
    }
}

template <class T>
void check(T t) {
    for (int64_t n = 0; n <= 70; ++n) {
        group_norm(t, 3, 4, n, 1, n), group_norm(t, 2, 5, 3, n, n), group_norm(t, 2, n, 3, 4, n);
        group_norm(t, n, 3, 2, 3, n), group_norm(t, 1, n, 1, 17, n + 1);
    }
    for (int64_t bits = 0; bits < 6; ++bits) {
        group_norm(t, 2, 3, 1000, 1, bits), group_norm(t, 2, 3, 2, 700, bits);
        group_norm(t, 1, 2, 1, 1100, bits), group_norm(t, 1, 2, 5, 200, bits);
        group_norm(t, 3, 2, 7, 100, bits), group_norm(t, 9, 300, 4, 4, bits);
    }
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
