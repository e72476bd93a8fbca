// The norm of the gradient of one ISA row, against loops in double.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void norm(int64_t n, double high) {
    const Array<T> grads({n}, -high, high);
    const auto partials = Array<double>::filled({(n + kUpdatePiece - 1) / kUpdatePiece + 2});
    GradientNorm<T> op;
    op.grads = grads, op.partials = partials;
    run(op);
    for (int64_t k = 0; k < partials.size(); ++k) {
        double sum = 0;
        for (int64_t i = k * kUpdatePiece; i < std::min((k + 1) * kUpdatePiece, n); ++i)
            sum += double(grads[i]) * double(grads[i]);
        CHECK(is_close(T(std::sqrt(partials[k])), std::sqrt(sum), 64));
    }
}

template <class T>
void check(T) {
    std::vector<int64_t> sizes{kUpdatePiece - 1, kUpdatePiece, kUpdatePiece + 1, 2 * kUpdatePiece + 37};
    for (int64_t n = 0; n <= 70; ++n) sizes.push_back(n);
    for (const int64_t n : {1000, 1024, 1025, 5000}) sizes.push_back(n);
    for (const int64_t n : sizes) norm<T>(n, 2);
    // Squares that overflow float32, and fit into double.
    for (const int64_t n : {1, 7, 1000, 5000}) norm<T>(n, 1e22);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
