// Accuracy: how much of a batch's weight lies on rows that are right. NaN is never right.
#include "../ops/accuracy.hpp"
#include "kernel.hpp"
#include "vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Whether pred[at] is the first of the largest of a row: all before it are less, and none is more.
template <class T>
BP_INLINE bool is_first_of_largest(const T* pred, Index at, Index classes) {
    const vec<T> chosen = broadcast<T>(pred[at]);
    const auto against = [&](Index c, int n, Index earlier) BP_INLINED {
        const vec<T> x = load_some(pred + c, n);
        return (~nonzero_lanes(x <= chosen) & ((1u << n) - 1)) |
               (~nonzero_lanes(x < chosen) & ((1u << earlier) - 1));
    };
    if (classes <= width<T>) return against(0, int(classes), at) == 0;
    unsigned any = 0;
    each_vector<T>(classes, [&](Index c, int n) BP_INLINED {
        any |= against(c, n, at - c < 0 ? 0 : at - c < n ? at - c : n);
    });
    return any == 0;
}

// Adds up without a branch: which rows are right is hard to predict. Number: Index where each row weighs 1, else double.
template <class Number>
struct Count {
    Number right = 0, total = 0;
    BP_INLINE void add(bool is_right, Number weight) {
        right += Number(is_right) * weight;
        total += weight;
    }
    BP_INLINE void add_to(double* correct) const {
        correct[0] += double(right);
        correct[1] += double(total);
    }
};

// weight(b): of row b
template <class Number, class T, class Weight>
BP_INLINE void count_classes(const CorrectClasses<T>& op, Weight weight) {
    const Index classes = op.pred.cols(), rows = op.target.size(), ignored = op.ignore_index;
    const Index* const targets = op.target.data;
    const T* const pred = op.pred.data;
    Count<Number> count;
    for (Index b = 0; b < rows; ++b) {
        const Index target = targets[b];
        if (target < 0 || target >= classes || target == ignored) continue;
        count.add(is_first_of_largest(pred + b * classes, target, classes), weight(b));
    }
    count.add_to(op.correct.data);
}

template <class T>
void correct_classes(const CorrectClasses<T>& op, Range, Scratch) {
    if (op.sample_weight)
        count_classes<double>(op, [&](Index b) BP_INLINED { return double(op.sample_weight.data[b]); });
    else
        count_classes<Index>(op, [](Index) BP_INLINED { return Index(1); });
}

// A word whose bit i says whether lane i of n logits is wrong.
template <class T>
BP_INLINE unsigned wrong_logits(const T* pred, const T* target, int n) {
    const vec<T> logit = load_some(pred, n), wanted = load_some(target, n);
    return nonzero_lanes(((logit > T(0)) ^ (wanted > T(0.5))) | (logit != logit)) & ((1u << n) - 1);
}

template <class T>
void correct_logits(const CorrectLogits<T>& op, Range, Scratch) {
    // NumPy has arrays of 2^40 empty rows.
    const Index outputs = op.pred.cols(), rows = op.pred.size() ? op.pred.rows() : 0;
    Count<double> count;
    if (outputs == 1 && !op.sample_weight)  // a vector of rows at a time
        each_vector<T>(rows, [&](Index b, int n) BP_INLINED {
            const unsigned wrong = wrong_logits(op.pred.data + b, op.target.data + b, n);
            count.right += n - __builtin_popcount(wrong);
            count.total += n;
        });
    else
        for (Index b = 0; b < rows; ++b) {
            const T *const pred = op.pred.data + b * outputs, *const target = op.target.data + b * outputs;
            unsigned wrong = 0;
            each_vector<T>(
                outputs, [&](Index o, int n) BP_INLINED { wrong |= wrong_logits(pred + o, target + o, n); });
            count.add(wrong == 0, op.sample_weight ? double(op.sample_weight.data[b]) : 1);
        }
    count.add_to(op.correct.data);
}

template <class T>
void argmax(const Argmax<T>& op, Range, Scratch) {
    const Index classes = op.x.cols(), rows = op.largest.size();
    for (Index b = 0; b < rows; ++b) {
        const auto at = [&](Index c) BP_INLINED {
            const T x = op.x.data[b * classes + c];
            return op.divisor ? x / op.divisor.data[c] : x;
        };
        Index largest = 0;
        // NaN counts as the largest: no comparison gets past the first.
        for (Index c = 1; c < classes; ++c)
            if (!(at(c) <= at(largest)) && at(largest) == at(largest)) largest = c;
        op.largest.data[b] = largest;
    }
}

}  // namespace

BACKPASS_KERNEL(CorrectClasses, correct_classes)
BACKPASS_KERNEL(CorrectLogits, correct_logits)
BACKPASS_KERNEL(Argmax, argmax)

}  // namespace backpass::BACKPASS_ISA
