// Losses with real targets of one ISA row, against formulas in double.
#include "kernel_test.hpp"
#include "naive.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// Which of the optional things a call has: the bits of a number.
struct Options {
    bool sample_weight, dpred, mean;

    explicit Options(int64_t bits) : sample_weight(bits & 2), dpred(bits % 5 != 4), mean(bits & 4) {}
};

template <class T>
void pointwise(T, Pointwise kind, int64_t rows, int64_t outputs, Options with) {
    const bool positive = kind == Pointwise::poisson_rate;
    const double alpha = 0.75;
    const Array<T> pred({rows, outputs}, positive ? 0.5 : -2, 2),
        target({rows, outputs}, positive ? 0 : -2, 2), sample_weight({rows}, 0.5, 2);
    const auto dpred = Array<T>::filled({rows, outputs});
    const auto loss = Array<double>::filled({1}), count = Array<double>::filled({1});
    PointwiseLoss<T> op;
    op.pred = pred, op.target = target, op.sample_weight = given(with.sample_weight, sample_weight);
    op.loss = loss, op.count = count, op.dpred = when(with.dpred, dpred), op.kind = kind, op.alpha = alpha;
    op.reduction = with.mean ? Reduction::mean : Reduction::sum;
    run(op);
    const auto weight = [&](int64_t b) { return with.sample_weight ? double(sample_weight[b]) : 1; };
    double total = 0, sum = 0;
    for (int64_t b = 0; b < rows; ++b) total += weight(b);
    const double divisor = with.mean && rows * outputs > 0 ? total * double(outputs) : 1;
    for (int64_t i = 0; i < pred.size(); ++i) {
        const double p = double(pred[i]), t = double(target[i]), w = weight(i / outputs);
        sum += w * naive::value(kind, p, t, alpha);
        if (with.dpred)
            CHECK(is_close(dpred[i], w * naive::slope(kind, p, t, alpha) / divisor, 40, 4 / divisor));
    }
    CHECK(is_close(T(loss[0]), sum / divisor, 30, 20 * double(pred.size()) / divisor));
    CHECK(is_close(count[0], with.mean ? total : 1, 4));
}

template <class T>
void gaussian(T, int64_t rows, int64_t outputs, Options with) {
    const Array<T> pred({rows, 2, outputs}, 0.25, 2), target({rows, outputs}), sample_weight({rows}, 0.5, 2);
    const auto dpred = Array<T>::filled({rows, 2, outputs});
    const auto loss = Array<double>::filled({1}), count = Array<double>::filled({1});
    GaussianNll<T> op;
    op.pred = pred, op.target = target, op.sample_weight = given(with.sample_weight, sample_weight);
    op.loss = loss, op.count = count, op.dpred = when(with.dpred, dpred);
    op.reduction = with.mean ? Reduction::mean : Reduction::sum;
    run(op);
    const auto weight = [&](int64_t b) { return with.sample_weight ? double(sample_weight[b]) : 1; };
    double total = 0, sum = 0;
    for (int64_t b = 0; b < rows; ++b) total += weight(b);
    const double divisor = with.mean && rows * outputs > 0 ? total * double(outputs) : 1;
    for (int64_t i = 0; i < target.size(); ++i) {
        const int64_t b = i / outputs, mean = 2 * b * outputs + i % outputs, variance = mean + outputs;
        const double v = double(pred[variance]), e = double(pred[mean]) - double(target[i]), w = weight(b);
        sum += w * 0.5 * (std::log(v) + e * e / v);
        if (!with.dpred) continue;
        CHECK(is_close(dpred[mean], w * e / v / divisor, 30, 4 / divisor));
        CHECK(is_close(dpred[variance], w * 0.5 * (1 / v - e * e / v / v) / divisor, 30, 50 / divisor));
    }
    CHECK(is_close(T(loss[0]), sum / divisor, 30, 20 * double(target.size()) / divisor));
    CHECK(is_close(count[0], with.mean ? total : 1, 4));
}

template <class T>
void check(T t) {
    int64_t turn = 0;  // of the options: every combination comes up many times
    for (int64_t n = 0; n <= 70; ++n) {
        for (const Pointwise kind : naive::kLosses) {
            pointwise(t, kind, n, 1, Options(turn)), pointwise(t, kind, n % 7, n, Options(turn));
            pointwise(t, kind, 3, n, Options(turn + 2)), ++turn;
        }
        for (int64_t bits = 0; bits < 8; ++bits)
            gaussian(t, n, 1, Options(bits)), gaussian(t, 3, n, Options(bits));
    }
    gaussian(t, 0, 5, Options(4)), pointwise(t, Pointwise::mse, 1000, 1, Options(6));
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
