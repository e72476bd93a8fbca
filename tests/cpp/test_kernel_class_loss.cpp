// Losses with class indices of one ISA row, against loops in double.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// Which of the optional things a call has: the bits of a number.
struct Options {
    bool weight, sample_weight, dpred, mean, smooth, ignored;

    explicit Options(int64_t bits)
        : weight(bits & 1),
          sample_weight(bits & 2),
          dpred(bits % 5 != 4),
          mean(bits & 4),
          smooth(bits & 8),
          ignored(bits & 16) {}
};

template <class T>
struct Labels {
    Array<T> pred, weight, sample_weight, dpred;
    Array<int64_t> target;
    Array<double> loss, count;

    Labels(int64_t rows, int64_t classes, Options with)
        : pred({rows, classes}, -4, 4),
          weight({classes}, 0.5, 2),
          sample_weight({rows}, 0, 2),
          dpred({rows, classes}, 77, 77),
          target({rows}, 0, double(classes)),
          loss({1}, 77, 77),
          count({1}, 77, 77) {
        for (int64_t b = 0; b < rows && with.ignored; b += 2) target[b] = -100;
    }
    template <class Op>
    Op call(Options with) const {
        Op op;
        op.pred = pred, op.target = target, op.weight = given(with.weight, weight);
        op.sample_weight = given(with.sample_weight, sample_weight), op.loss = loss, op.count = count;
        op.dpred = when(with.dpred, dpred), op.reduction = with.mean ? Reduction::mean : Reduction::sum;
        return op;
    }
};

template <class T>
void labels(T, int64_t rows, int64_t classes, Options with) {
    const Labels<T> a(rows, classes, with);
    auto cross_entropy = a.template call<SoftmaxCrossEntropy<T>>(with);
    cross_entropy.label_smoothing = with.smooth ? 0.25 : 0;
    run(cross_entropy);
    const double smoothing = cross_entropy.label_smoothing;
    const auto weight = [&](int64_t c) { return with.weight ? double(a.weight[c]) : 1; };
    const auto sample = [&](int64_t b) {
        return a.target[b] < 0 ? 0 : with.sample_weight ? double(a.sample_weight[b]) : 1;
    };
    double total = 0, loss = 0, nll = 0;
    for (int64_t b = 0; b < rows; ++b) total += a.target[b] < 0 ? 0 : sample(b) * weight(a.target[b]);
    const double divisor = with.mean && total != 0 ? total : 1;
    for (int64_t b = 0; b < rows; ++b) {
        double top = -HUGE_VAL, sum = 0, sum_q = 0;
        const auto x = [&](int64_t c) { return double(a.pred[b * classes + c]); };
        const auto q = [&](int64_t c) {
            return weight(c) * ((c == a.target[b] ? 1 - smoothing : 0) + smoothing / double(classes));
        };
        for (int64_t c = 0; c < classes; ++c) top = std::max(top, x(c));
        for (int64_t c = 0; c < classes; ++c) sum += std::exp(x(c) - top), sum_q += q(c);
        for (int64_t c = 0; c < classes; ++c) {
            const double p = std::exp(x(c) - top) / sum;
            if (sample(b) != 0) loss -= sample(b) * q(c) * (x(c) - top - std::log(sum));
            if (with.dpred)
                CHECK(is_close(a.dpred[b * classes + c], sample(b) * (p * sum_q - q(c)) / divisor, 60));
        }
        if (sample(b) != 0) nll -= sample(b) * weight(a.target[b]) * x(a.target[b]);
    }
    CHECK(is_close(a.count[0], with.mean ? total : 1, 8, total));
    CHECK(is_close(T(a.loss[0]), loss / divisor, 60, 8 * double(rows + 1)));

    run(a.template call<Nll<T>>(with));
    CHECK(is_close(T(a.loss[0]), nll / divisor, 16, 8 * double(rows + 1)));
    for (int64_t i = 0; i < a.pred.size() && with.dpred; ++i) {
        const int64_t b = i / classes, c = i % classes;
        CHECK(is_close(a.dpred[i], c == a.target[b] ? -sample(b) * weight(c) / divisor : 0, 4));
    }
}

// A target that is no class: the loss is NaN, and nothing is read or written there.
template <class T>
void no_class(T, int64_t classes) {
    for (const int64_t wrong : {classes, classes + 1000000, int64_t{-1}}) {
        const Options with(0);
        const Labels<T> a(5, classes, with);
        a.target[3] = wrong;
        run(a.template call<SoftmaxCrossEntropy<T>>(with));
        CHECK(std::isnan(a.loss[0]));
        run(a.template call<Nll<T>>(with));
        CHECK(std::isnan(a.loss[0]));
    }
}

template <class T>
void check(T t) {
    int64_t turn = 0;  // of the options: every combination comes up many times
    for (int64_t n = 1; n <= 70; ++n) {
        for (const int64_t rows : {0, 1, 3, 18, 37}) labels(t, rows, n, Options(turn++));
        for (const int64_t classes : {1, 2, 3, 5, 8, 9, 10, 15, 16, 17})
            labels(t, n, classes, Options(turn++));
        no_class(t, n);
    }
    for (int64_t bits = 0; bits < 32; ++bits)
        for (const int64_t classes : {3, 10, 40}) labels(t, 21, classes, Options(bits));
    labels(t, 0, 0, Options(4)), no_class(t, 0);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
