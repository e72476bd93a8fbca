// Images in another size, of one ISA row, against loops in double.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// The pixels of which place i of `out` is made, and their shares.
struct Pair {
    int64_t at[2];
    double share[2];
};

Pair pair_of(const Resizing& op, int64_t i, int64_t size, int64_t out, double scale) {
    const double step = scale == 0 ? double(size) / double(out) : 1 / scale;
    if (!op.linear) {
        const double at = scale == 0 ? double(i * size / out) : std::floor(double(i) / scale);
        return {{std::min(int64_t(at), size - 1), 0}, {1, 0}};
    }
    double at = (double(i) + 0.5) * step - 0.5;
    if (op.align_corners) at = out > 1 ? double(i * (size - 1)) / double(out - 1) : 0;
    at = std::clamp(at, 0.0, double(size - 1));
    const int64_t low = int64_t(at);
    return {{low, std::min(low + 1, size - 1)}, {1 - (at - double(low)), at - double(low)}};
}

template <class T>
void resize(T, int64_t batch, int64_t h, int64_t w, int64_t p, int64_t q, int64_t channels, int64_t bits) {
    const Array<T> x({batch, h, w, channels}), dy({batch, p, q, channels});
    const auto y = Array<T>::filled({batch, p, q, channels}), dx = Array<T>::filled({batch, h, w, channels});
    ResizeForward<T> forward;
    forward.x = x, forward.y = y, forward.height = p, forward.width = q;
    forward.linear = bits & 1, forward.align_corners = bits & 2;
    forward.scale_h = bits & 4 ? 1.5 : 0, forward.scale_w = bits & 8 ? 0.7 : 0;
    run(forward);
    ResizeBackward<T> backward;
    static_cast<Resizing&>(backward) = forward;
    backward.dy = dy, backward.dx = dx;
    run(backward);
    if (h == 0 || w == 0) {
        for (int64_t i = 0; i < y.size(); ++i) CHECK(y[i] == 0);
        return;
    }
    std::vector<double> want(std::size_t(dx.size()), 0);
    for (int64_t b = 0; b < batch; ++b)
        for (int64_t i = 0; i < p; ++i)
            for (int64_t j = 0; j < q; ++j)
                for (int64_t c = 0; c < channels; ++c) {
                    const Pair row = pair_of(forward, i, h, p, forward.scale_h);
                    const Pair column = pair_of(forward, j, w, q, forward.scale_w);
                    const int64_t out = ((b * p + i) * q + j) * channels + c;
                    double sum = 0;
                    for (int r = 0; r < 2; ++r)
                        for (int s = 0; s < 2; ++s) {
                            const int64_t in = ((b * h + row.at[r]) * w + column.at[s]) * channels + c;
                            const double share = row.share[r] * column.share[s];
                            sum += double(x[in]) * share;
                            want[std::size_t(in)] += double(dy[out]) * share;
                        }
                    CHECK(is_close(y[out], sum, 32, 2));
                }
    for (int64_t i = 0; i < dx.size(); ++i)
        CHECK(is_close(dx[i], want[std::size_t(i)], 32, 2 * double(1 + p * q)));
}

template <class T>
void check(T t) {
    for (int64_t bits = 0; bits < 16; ++bits) {
        for (int64_t n = 0; n <= 36; ++n)
            resize(t, 2, 3, 4, 5, 7, n, bits), resize(t, 2, 5, n, 3, 4, 3, bits);
        for (int64_t n = 0; n <= 9; ++n) {
            resize(t, n, 2, 3, 4, 6, 2, bits), resize(t, 1, n, 3, 4, 2, 5, bits);
            resize(t, 1, 4, 3, n, 5, 4, bits), resize(t, 1, 4, 3, 5, n, 4, bits);
        }
        resize(t, 1, 3, 5, 2, 600, 3, bits), resize(t, 2, 40, 30, 33, 70, 8, bits);
    }
    // Forged scales end within the image.
    for (const double scale : {-1.0, 1e-300, 1e300, double(NAN), double(INFINITY)})
        for (const bool linear : {false, true}) {
            const Array<T> x({1, 3, 3, 2});
            const auto y = Array<T>::filled({1, 4, 4, 2});
            ResizeForward<T> forward;
            forward.x = x, forward.y = y, forward.height = 4, forward.width = 4;
            forward.linear = linear, forward.scale_h = forward.scale_w = scale;
            run(forward);
        }
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
