// The counts of right rows of one ISA row, against plain loops. Small integers as predictions make ties.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T>
void classes(int64_t rows, int64_t count, bool weighted, bool spoilt) {
    Array<T> pred({rows, count}, -3, 3);
    const Array<T> sample_weight({rows}, 0, 2);
    const Array<int64_t> target({rows}, -1, double(count) + 1);
    const auto correct = Array<double>::filled({2}, 3);
    for (int64_t i = 0; i < pred.size(); ++i) pred[i] = std::floor(pred[i]);
    for (int64_t b = 0; b < rows && spoilt; b += 3) pred[b * count + b % count] = T(NAN);
    CorrectClasses<T> op;
    op.pred = pred, op.target = target, op.correct = correct;
    if (weighted) op.sample_weight = sample_weight;
    op.ignore_index = 1;
    run(op);
    double right = 3, total = 3;
    for (int64_t b = 0; b < rows; ++b) {
        const int64_t t = target[b];
        if (t < 0 || t >= count || t == 1) continue;
        const T* const x = pred.data() + b * count;
        bool first = true;
        for (int64_t c = 0; c < count; ++c) first = first && (c < t ? x[c] < x[t] : x[c] <= x[t]);
        const double weight = weighted ? double(sample_weight[b]) : 1;
        if (first) right += weight;
        total += weight;
    }
    CHECK(is_close(correct[0], right, 8, total));
    CHECK(is_close(correct[1], total, 8, total));
}

template <class T>
void logits(int64_t rows, int64_t count, bool weighted, bool spoilt) {
    const Array<T> pred({rows, count}, -2, 2), sample_weight({rows}, 0, 2);
    Array<T> target({rows, count}, 0, 1);
    const auto correct = Array<double>::filled({2}, 3);
    // Most rows are right, else hardly any of many outputs would be.
    for (int64_t i = 0; i < pred.size(); ++i)
        if (i / count % 4) target[i] = pred[i] > 0 ? T(1) : T(0);
    for (int64_t b = 0; b < rows && spoilt; b += 3) pred[b * count + b % count] = T(NAN);
    CorrectLogits<T> op;
    op.pred = pred, op.target = target, op.correct = correct;
    if (weighted) op.sample_weight = sample_weight;
    run(op);
    double right = 3, total = 3;
    for (int64_t b = 0; b < rows; ++b) {
        bool all = true;
        for (int64_t o = b * count; o < (b + 1) * count; ++o)
            all = all && (pred[o] > 0) == (target[o] > T(0.5)) && !std::isnan(pred[o]);
        const double weight = weighted ? double(sample_weight[b]) : 1;
        if (all) right += weight;
        total += weight;
    }
    CHECK(is_close(correct[0], right, 8, total));
    CHECK(is_close(correct[1], total, 8, total));
}

template <class T>
void largest(int64_t rows, int64_t count, bool divided) {
    Array<T> x({rows, count}, -3, 3);
    const Array<T> divisor({count}, 0.5, 2);
    const auto found = Array<int64_t>::filled({rows});
    for (int64_t i = 0; i < x.size(); ++i) x[i] = std::floor(x[i]);
    Argmax<T> op;
    op.x = x, op.largest = found;
    if (divided) op.divisor = divisor;
    run(op);
    for (int64_t b = 0; b < rows; ++b) {
        int64_t best = 0;
        const auto at = [&](int64_t c) { return divided ? x[b * count + c] / divisor[c] : x[b * count + c]; };
        for (int64_t c = 1; c < count; ++c)
            if (at(c) > at(best)) best = c;
        CHECK(found[b] == best);
    }
}

template <class T>
void check(T) {
    for (int64_t n = 1; n <= 70; ++n)
        for (const int64_t rows : {0, 1, 3, 37})
            for (const bool weighted : {false, true}) {
                classes<T>(rows, n, weighted, rows % 2), logits<T>(rows, n, weighted, rows % 2);
                largest<T>(rows, n, weighted);
            }
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
