// Accuracy: how much of a batch's weight lies on rows that are right. NaN is never right.
#include "kernel.hpp"
#include "vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Whether pred[at] is the first of the largest of a row.
template <class T>
BP_INLINE bool is_first_of_largest(const T* pred, Index at, Index classes) {
    using Int = lane<ivec<T>>;
    const vec<T> chosen = broadcast<T>(pred[at]);
    unsigned against = 0;
    each_vector<T>(classes, [&](Index c, int n) BP_INLINED {
        const vec<T> x = load_some(pred + c, n);
        const ivec<T> not_before = iota<Int>() >= Int(at - c);
        against |= nonzero_lanes(~((x < chosen) | ((x == chosen) & not_before))) & ((1u << n) - 1);
    });
    return against == 0;
}

// Adds up without a branch: which rows are right is hard to predict.
struct Count {
    double right = 0, total = 0;
    BP_INLINE void add(bool is_right, double weight) {
        right += double(is_right) * weight;
        total += weight;
    }
    BP_INLINE void add_to(double* correct) const {
        correct[0] += right;
        correct[1] += total;
    }
};

template <class T>
void correct_classes(const CorrectClasses<T>& op, Range, Scratch) {
    const Index classes = op.pred.cols(), rows = op.target.size();
    Count count;
    for (Index b = 0; b < rows; ++b) {
        const Index target = op.target.data[b];
        if (target < 0 || target >= classes || target == op.ignore_index) continue;
        const double weight = op.sample_weight ? double(op.sample_weight.data[b]) : 1;
        count.add(is_first_of_largest(op.pred.data + b * classes, target, classes), weight);
    }
    count.add_to(op.correct.data);
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
    Count count;
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
