// Accuracy: how much of a batch's weight lies on rows that are right. NaN is never right.
#include "kernel.hpp"
#include "vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Whether pred[at] is the first of the largest of a row.
template <class T>
BP_INLINE bool is_first_of_largest(const T* pred, Index at, Index classes) {
    const vec<T> chosen = broadcast<T>(pred[at]);
    // All ones where a lane contradicts; a comparison with NaN does.
    ivec<T> against{};
    each_vector<T>(Range{0, at}, [&](Index c, int n) BP_INLINED {
        against |= keep_first(~(load_some(pred + c, n) < chosen), n);
    });
    each_vector<T>(Range{at, classes}, [&](Index c, int n) BP_INLINED {
        against |= keep_first(~(load_some(pred + c, n) <= chosen), n);
    });
    return sum(against) == 0;
}

template <class T>
void correct_classes(const CorrectClasses<T>& op, Range, Scratch) {
    const Index classes = op.pred.cols(), rows = op.target.size();
    double right = 0, total = 0;
    for (Index b = 0; b < rows; ++b) {
        const Index target = op.target.data[b];
        if (target < 0 || target >= classes || target == op.ignore_index) continue;
        const double weight = op.sample_weight ? double(op.sample_weight.data[b]) : 1;
        if (is_first_of_largest(op.pred.data + b * classes, target, classes)) right += weight;
        total += weight;
    }
    op.correct.data[0] += right;
    op.correct.data[1] += total;
}

template <class T>
void correct_logits(const CorrectLogits<T>& op, Range, Scratch) {
    // NumPy has arrays of 2^40 empty rows.
    const Index outputs = op.pred.cols(), rows = op.pred.size() ? op.pred.rows() : 0;
    double right = 0, total = 0;
    for (Index b = 0; b < rows; ++b) {
        const T *const pred = op.pred.data + b * outputs, *const target = op.target.data + b * outputs;
        ivec<T> against{};
        each_vector<T>(outputs, [&](Index o, int n) BP_INLINED {
            const vec<T> logit = load_some(pred + o, n), wanted = load_some(target + o, n);
            against |= keep_first(((logit > T(0)) ^ (wanted > T(0.5))) | (logit != logit), n);
        });
        const double weight = op.sample_weight ? double(op.sample_weight.data[b]) : 1;
        if (sum(against) == 0) right += weight;
        total += weight;
    }
    op.correct.data[0] += right;
    op.correct.data[1] += total;
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
