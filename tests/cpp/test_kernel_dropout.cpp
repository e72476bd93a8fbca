// Dropout of one ISA row: its mask against the random words, drawn one by one.
#include "kernel_test.hpp"
#include "naive_philox.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void dropout(T, int64_t size, double p) {
    const Array<T> x({size}), dy({size});
    const auto y = Array<T>::filled({size}), mask = Array<T>::filled({size}), dx = Array<T>::filled({size});
    const Array<int64_t> step({1}, 5, 5);
    DropoutForward<T> forward;
    forward.x = x, forward.step = step, forward.y = y, forward.mask = mask;
    forward.p = p, forward.seed = 0x123456789abcdef, forward.stream = 3;
    run(forward);
    DropoutBackward<T> backward;
    backward.mask = mask, backward.dy = dy, backward.dx = dx;
    run(backward);
    for (int64_t i = 0; i < size; ++i) {
        const bool kept = p < 1 && double(naive::drawn(i, 5, 3, 0x123456789abcdef)) >= p * 0x1p32;
        CHECK(mask[i] == (kept ? T(1 / (1 - p)) : T(0)) && y[i] == x[i] * mask[i] &&
              dx[i] == dy[i] * mask[i]);
    }
}

template <class T>
void channel_dropout(T, int64_t samples, int64_t length, int64_t channels, double p) {
    const Array<T> x({samples, length, channels}), dy({samples, length, channels});
    const auto y = Array<T>::filled({samples, length, channels}),
               dx = Array<T>::filled({samples, length, channels});
    const auto mask = Array<T>::filled({samples, channels});
    const Array<int64_t> step({1}, 5, 5);
    ChannelDropoutForward<T> forward;
    forward.x = x, forward.step = step, forward.y = y, forward.mask = mask;
    forward.p = p, forward.seed = 0x123456789abcdef, forward.stream = 3;
    run(forward);
    ChannelDropoutBackward<T> backward;
    backward.mask = mask, backward.dy = dy, backward.dx = dx;
    run(backward);
    for (int64_t i = 0; i < mask.size(); ++i) {
        const bool kept = p < 1 && double(naive::drawn(i, 5, 3, 0x123456789abcdef)) >= p * 0x1p32;
        CHECK(mask[i] == (kept ? T(1 / (1 - p)) : T(0)));
    }
    for (int64_t i = 0; i < x.size(); ++i) {
        const T m = mask[i / (length * channels) * channels + i % channels];
        CHECK(y[i] == x[i] * m && dx[i] == dy[i] * m);
    }
}

template <class T>
void check(T t) {
    for (const double p : {0.0, 0.3, 1.0}) {
        for (int64_t n = 0; n <= 70; ++n)
            channel_dropout(t, 3, 2, n, p), channel_dropout(t, n, 3, 5, p), channel_dropout(t, 2, n, 7, p);
        channel_dropout(t, 40, 300, 9, p), channel_dropout(t, 2, 1, kElementPiece + 3, p);
    }

    std::vector<int64_t> sizes{kElementPiece - 1, kElementPiece, 2 * kElementPiece + 91};
    for (int64_t n = 0; n <= 70; ++n) sizes.push_back(n);
    for (const int64_t n : sizes)
        for (const double p : {0.0, 0.3, 0.5, 1.0}) dropout(t, n, p);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
