// Softmax and its logarithm of one ISA row, against loops in double.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void softmax(T, int64_t rows, int64_t size, bool log) {
    const Array<T> x({rows, size}, -6, 6), dy({rows, size});
    const auto y = Array<T>::filled({rows, size}), dx = Array<T>::filled({rows, size});
    SoftmaxForward<T> forward;
    forward.x = x, forward.y = y, forward.log = log;
    run(forward);
    SoftmaxBackward<T> backward;
    backward.y = y, backward.dy = dy, backward.dx = dx, backward.log = log;
    run(backward);
    for (int64_t b = 0; b < rows; ++b) {
        const int64_t at = b * size;
        double total = 0, dot = 0, scale = 0;
        for (int64_t i = at; i < at + size; ++i) total += std::exp(double(x[i]));
        for (int64_t i = at; i < at + size; ++i) {
            const double p = std::exp(double(x[i])) / total, want = log ? std::log(p) : p;
            CHECK(is_close(y[i], want, 16 + double(size) / 4, log ? 16 : 1));
            dot += double(dy[i]) * (log ? 1 : double(y[i])), scale += std::fabs(double(dy[i]));
        }
        for (int64_t i = at; i < at + size; ++i) {
            const double s = double(y[i]), g = double(dy[i]);
            CHECK(is_close(dx[i], log ? g - std::exp(s) * dot : s * (g - dot), 16, scale));
        }
    }
}

template <class T>
void check(T t) {
    for (int64_t n = 0; n <= 70; ++n)
        for (const bool log : {false, true})
            softmax(t, 3, n, log), softmax(t, n, 5, log), softmax(t, 200, n, log);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
