// The gradient of the L2 penalty of one ISA row, against loops in double.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void penalty(int64_t n) {
    const Array<T> weight({n}), dweight({n});
    const std::vector<T> before(dweight.data(), dweight.data() + n);
    const auto partials = Array<double>::filled({(n + kUpdatePiece - 1) / kUpdatePiece + 2});
    const Array<double> count({1}, 7, 7);
    L2Gradient<T> op;
    op.weight = weight, op.dweight = dweight, op.count = count, op.partials = partials, op.alpha = 0.3;
    CHECK(!op.invalid());
    run(op);
    for (int64_t i = 0; i < n; ++i)
        CHECK(is_close(dweight[i], double(before[std::size_t(i)]) + 0.3 / 7 * double(weight[i]), 16));
    for (int64_t k = 0; k < partials.size(); ++k) {
        double sum = 0;
        for (int64_t i = k * kUpdatePiece; i < std::min((k + 1) * kUpdatePiece, n); ++i)
            sum += double(weight[i]) * double(weight[i]);
        CHECK(is_close(T(partials[k]), sum, 64));
    }
}

template <class T>
void check(T) {
    std::vector<int64_t> sizes{kUpdatePiece - 1, kUpdatePiece, kUpdatePiece + 1, 2 * kUpdatePiece + 37};
    for (int64_t n = 0; n <= 70; ++n) sizes.push_back(n);
    for (const int64_t n : {1000, 1024, 1025, 5000}) sizes.push_back(n);
    for (const int64_t n : sizes) penalty<T>(n);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
