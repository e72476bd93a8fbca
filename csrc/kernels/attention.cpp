// Scaled dot-product attention: products of blocks of queries with all keys of a head, and the softmax between them.
#include "../ops/attention.hpp"
#include "attention_block.hpp"
#include "attention_lanes.hpp"
#include "dropout_mask.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// A row of scores becomes probabilities of its first `keys` keys, as large as they are before dropout; returns their factor.
// Entries below e^lowest are exactly 0, because denormals would cost more than all others.
template <class T>
BP_INLINE T softmax_row(T* row, const T* mask, T scale, Index keys) {
    constexpr T inf = T(__builtin_inf()), lowest = T(sizeof(T) == 4 ? -87 : -708);
    vec<T> top = broadcast<T>(-inf);
    each_vector<T>(keys, [&](Index i, int n) BP_INLINED {
        vec<T> x = load_some(row + i, n) * scale;
        if (mask) {  // a key that takes no part may be anything
            const vec<T> m = load_some(mask + i, n);
            x = select(m == -inf, broadcast<T>(-inf), x + m);
        }
        store_some(row + i, x, n);
        top = max(top, keep_first(x, n, -inf));
    });
    const T largest = reduce_max(top), shift = largest == -inf ? T(0) : largest;
    const T total = sum(sum_vectors<T>(keys, [&](Index i, int n) BP_INLINED {
        const vec<T> d = load_some(row + i, n) - shift;
        const vec<T> e = select(d < lowest, vec<T>{}, exp(d));
        store_some(row + i, e, n);
        return e;
    }));
    return total == T(0) ? T(0) : T(1) / total;
}

// The random words of one row of probabilities: those of elements [begin, begin + count) start at the returned place.
BP_INLINE const Word* words_of_row(Word* words, Index begin, Index count, std::uint64_t step,
                                   std::uint64_t stream, std::uint64_t seed) {
    Word* to = words;
    for (Index block = begin / kDrawBlock; block * kDrawBlock < begin + count; ++block, to += kDrawBlock)
        draw(to, std::uint64_t(block), step, stream, seed);
    return words + begin % kDrawBlock;
}

// What attend() does for short rows without a mask and dropout.
template <class T>
BP_INLINE void attend_in_lanes(const AttentionForward<T>& op, const AttentionShape& s, Head head, Index t0,
                               Index rows, Index first, Index cut, const Working<T>& work, Scratch scratch) {
    const Index ld = score_stride(rows);
    gemm(rows_of_head(op.k, head, 0), columns_of_head(op.q, head, t0), Output<T>{work.scores, ld},
         Piece{0, cut, 0, rows}, s.width, Epilogue<T>{}, scratch);
    softmax_in_lanes(ScoresInLanes<T>{work.scores, ld, cut, rows, first + 1, op.causal}, T(op.scale));
    if (op.probabilities) {
        T* const out = op.probabilities.data + ((head.b * s.heads + head.h) * s.queries + t0) * s.keys;
        transpose_rows(work.scores, ld, cut, rows, out, s.keys);
        for (Index r = 0; r < rows; ++r) fill_zero<T>(out + r * s.keys, cut, s.keys);
    }
    T* const y = op.y.data + ((head.b * s.queries + t0) * s.heads + head.h) * s.outputs;
    gemm(Operand<T>{work.scores, 1, ld}, rows_of_values(op.v, head), Output<T>{y, s.heads * s.outputs},
         Piece{0, rows, 0, s.outputs}, cut, Epilogue<T>{}, scratch);
}

// y = P v, P = softmax(scale q kᵀ + mask), with dropout of P, for one block of queries of a head. start: the step of the first
// query, where attention is causal.
template <class T>
BP_INLINE void attend(const AttentionForward<T>& op, const AttentionShape& s, Head head, Index t0,
                      Index start, const Working<T>& work, Scratch scratch) {
    const Index ld = score_stride(s.keys), rows = s.queries - t0 < s.rows ? s.queries - t0 : s.rows;
    const T scale = T(op.scale), kept = op.p < 1 ? T(1 / (1 - op.p)) : T(0);
    const Word threshold = op.step ? threshold_of(op.p) : 0;
    const Index keys = keys_of(op.lengths, s.keys, head.b), first = start + t0;
    const Index cut = op.causal ? between(first + rows, keys) : keys;
    if (!op.mask && !op.step && fits_in_lanes<T>(rows, cut))
        return attend_in_lanes(op, s, head, t0, rows, first, cut, work, scratch);
    gemm(rows_of_head(op.q, head, t0), columns_of_head(op.k, head), Output<T>{work.scores, ld},
         Piece{0, rows, 0, cut}, s.width, Epilogue<T>{}, scratch);
    if (op.mask) forget<T>(work.used, cut);
    for (Index r = 0; r < rows; ++r) {
        const Index t = t0 + r, row = ((head.b * s.heads + head.h) * s.queries + t) * s.keys;
        const Index counted = op.causal ? between(first + r + 1, cut) : cut;
        const T* mask = op.mask ? at_head(op.mask, head.b, head.h, t) : nullptr;
        T *p = work.scores + r * ld, *out = op.probabilities ? op.probabilities.data + row : nullptr;
        const vec<T> factor = broadcast<T>(softmax_row(p, mask, scale, counted));
        const Word* words = op.step ? words_of_row(work.words, row, counted, std::uint64_t(op.step.data[0]),
                                                   std::uint64_t(op.stream), std::uint64_t(op.seed))
                                    : nullptr;
        each_vector<T>(counted, [&](Index i, int n) BP_INLINED {
            const vec<T> probability = load_some(p + i, n) * factor;
            vec<T> shown = probability, weight = probability;
            if (words) {
                const vec<T> drawn = mask_of<T>(words + i, threshold, T(1));
                weight = select(drawn > T(0), probability * kept, vec<T>{});
                shown = select(drawn > T(0), probability, -probability);
            }
            store_some(p + i, weight, n);
            if (out) store_some(out + i, shown, n);
            if (mask) note_used(work.used + i, weight, n);
        });
        fill_zero<T>(p, counted, cut);
        if (out) fill_zero<T>(out, counted, s.keys);
    }
    const Operand<T> weights{work.scores, ld, 1};
    T* const y = op.y.data + ((head.b * s.queries + t0) * s.heads + head.h) * s.outputs;
    multiply_used(weights, rows_of_values(op.v, head), Output<T>{y, s.heads * s.outputs}, rows, s.outputs,
                  cut, op.mask ? work.used : nullptr, scratch);
}

template <class T>
void attention_forward(const AttentionForward<T>& op, Range range, Scratch scratch) {
    const AttentionShape s = op.shape();
    const Index blocks = s.blocks();
    const Working<T> work(scratch);
    for (Index task = range.begin; task < range.end; ++task)
        attend(op, s, head_of(s, task / blocks), task % blocks * s.rows, 0, work, scratch);
}

// Rows of x of a head, one for each step, into those of `all` from step `start` on, as far as there are any.
template <class T>
BP_INLINE void take_in(const Strided<const T>& x, const Tensor<T>& all, Head head, Index start) {
    const Index most = all.shape[1], heads = all.shape[2], columns = all.shape[3];
    for (Index t = start < 0 ? -start : 0; t < x.shape[1] && start + t < most; ++t) {
        const T* const from = at_head(x, head.b, t, head.h);
        T* const to = all.data + ((head.b * most + start + t) * heads + head.h) * columns;
        each_vector<T>(columns,
                       [&](Index c, int n) BP_INLINED { store_some(to + c, load_some(from + c, n), n); });
    }
}

// keys and values take k and v in; y = P values, P = softmax(scale q keysᵀ) over the steps up to a query's own
template <class T>
void attention_step(const AttentionStep<T>& op, Range range, Scratch scratch) {
    const AttentionForward<T> all = op.over_all();
    const AttentionShape s = all.shape();
    const Working<T> work(scratch);
    // It may be forged: beyond these there is no step.
    const Index given = op.start.data[0], most = s.keys, least = -s.queries;
    const Index start = given < least ? least : given < most ? given : most;
    for (Index task = range.begin; task < range.end; ++task) {
        const Head head = head_of(s, task);
        take_in(op.k, op.keys, head, start), take_in(op.v, op.values, head, start);
        for (Index t0 = 0; t0 < s.queries; t0 += s.rows) attend(all, s, head, t0, start, work, scratch);
    }
}

// One row of the gradient of the scores, in the place of dy vᵀ: P (dP - Σ P dP) scale. weights: P as the forward pass used it,
// where there was dropout; dmask: the same without the scale.
template <class T>
BP_INLINE void softmax_row_backward(const T* p, T* d, T* weights, T* dmask, T kept, T scale, Index keys) {
    const T total = sum(sum_vectors<T>(keys, [&](Index i, int n) BP_INLINED {
        const vec<T> shown = load_some(p + i, n), weight = weights ? max(shown, vec<T>{}) * kept : shown;
        // Of what took no part dy vᵀ may be anything.
        const vec<T> product = select(weight == T(0), vec<T>{}, weight * load_some(d + i, n));
        store_some(d + i, product, n);
        if (weights) store_some(weights + i, weight, n);
        return product;
    }));
    each_vector<T>(keys, [&](Index i, int n) BP_INLINED {
        const vec<T> shown = load_some(p + i, n), probability = weights ? abs(shown) : shown;
        const vec<T> change = load_some(d + i, n) - probability * total;
        const vec<T> gradient = select(probability == T(0), vec<T>{}, change);
        if (dmask) store_some(dmask + i, gradient, n);
        store_some(d + i, gradient * scale, n);
    });
}

// What attention_backward does for a block of queries, for short rows without a mask and dropout.
template <class T>
BP_INLINE void backward_in_lanes(const AttentionBackward<T>& op, const AttentionShape& s, Head head, Index t0,
                                 Index rows, Index cut, Index before, const Working<T>& work,
                                 Scratch scratch) {
    const Index ld = score_stride(rows);
    T *const d = work.scores, *const p = work.scores + cut * ld;
    const T* kept = op.probabilities.data + ((head.b * s.heads + head.h) * s.queries + t0) * s.keys;
    transpose_rows(kept, s.keys, rows, cut, p, ld);
    gemm(rows_of_head(op.v, head, 0), columns_of_head(op.dy, head, t0), Output<T>{d, ld},
         Piece{0, cut, 0, rows}, s.outputs, Epilogue<T>{}, scratch);
    softmax_backward_in_lanes(ScoresInLanes<T>{d, ld, cut, rows, t0 + 1, op.causal}, p, T(op.scale));
    if (op.dq)
        gemm(Operand<T>{d, 1, ld}, rows_of_values(op.k, head), output_of(op.dq, head, t0),
             Piece{0, rows, 0, s.width}, cut, Epilogue<T>{}, scratch);
    if (op.dk)
        add_product(Operand<T>{d, ld, 1}, rows_of_values(op.q, head, t0), output_of(op.dk, head, 0), before,
                    cut, s.width, rows, scratch);
    if (op.dv)
        add_product(Operand<T>{p, ld, 1}, rows_of_values(op.dy, head, t0), output_of(op.dv, head, 0), before,
                    cut, s.outputs, rows, scratch);
}

// dv = Pᵀ dy, dS = P (dy vᵀ - Σ P dy vᵀ) scale, dq = dS k, dk = dSᵀ q: one block of queries after the other
template <class T>
void attention_backward(const AttentionBackward<T>& op, Range range, Scratch scratch) {
    const AttentionShape s = op.shape();
    const Index ld = score_stride(s.keys);
    const Working<T> work(scratch);
    const bool dropped = bool(op.step);
    const T scale = T(op.scale), kept = !dropped ? T(1) : op.p < 1 ? T(1 / (1 - op.p)) : T(0);
    for (Index task = range.begin; task < range.end; ++task) {
        const Head head = head_of(s, task);
        const Index keys = keys_of(op.lengths, s.keys, head.b);
        const Index first = (head.b * s.heads + head.h) * s.queries * s.keys;
        Index before = 0;  // keys whose gradients have a first part
        for (Index t0 = 0; t0 < s.queries; t0 += s.rows) {
            const Index rows = s.queries - t0 < s.rows ? s.queries - t0 : s.rows;
            const Index cut = op.causal && t0 + rows < keys ? t0 + rows : keys;
            const T* p = op.probabilities.data + first + t0 * s.keys;
            T *const d = work.scores, *const weights = dropped ? work.scores + s.rows * ld : nullptr;
            if (!op.mask && !dropped && fits_in_lanes<T>(rows, cut)) {
                backward_in_lanes(op, s, head, t0, rows, cut, before, work, scratch);
                before = cut > before ? cut : before;
                continue;
            }
            gemm(rows_of_head(op.dy, head, t0), columns_of_head(op.v, head), Output<T>{d, ld},
                 Piece{0, rows, 0, cut}, s.outputs, Epilogue<T>{}, scratch);
            if (op.mask) forget<T>(work.used, cut);
            for (Index r = 0; r < rows; ++r) {
                const Index t = t0 + r, counted = op.causal && t + 1 < cut ? t + 1 : cut;
                T* const to = weights ? weights + r * ld : nullptr;
                T* const dmask = op.dmask ? op.dmask.data + first + t * s.keys : nullptr;
                softmax_row_backward(p + r * s.keys, d + r * ld, to, dmask, kept, scale, counted);
                fill_zero<T>(d + r * ld, counted, cut);
                if (dmask) fill_zero<T>(dmask, counted, s.keys);
                if (to) fill_zero<T>(to, counted, cut);
                if (op.mask)
                    each_vector<T>(counted, [&](Index i, int n) BP_INLINED {
                        note_used(work.used + i, load_some(p + r * s.keys + i, n), n);
                    });
            }
            if (op.dq)
                multiply_used(Operand<T>{d, ld, 1}, rows_of_values(op.k, head), output_of(op.dq, head, t0),
                              rows, s.width, cut, op.mask ? work.used : nullptr, scratch);
            const Operand<T> columns = weights ? Operand<T>{weights, 1, ld} : Operand<T>{p, 1, s.keys};
            if (op.dk)
                add_product(Operand<T>{d, 1, ld}, rows_of_values(op.q, head, t0), output_of(op.dk, head, 0),
                            before, cut, s.width, rows, scratch);
            if (op.dv)
                add_product(columns, rows_of_values(op.dy, head, t0), output_of(op.dv, head, 0), before, cut,
                            s.outputs, rows, scratch);
            before = cut > before ? cut : before;
        }
        if (op.dk) zero_rows(output_of(op.dk, head, 0), before, s.keys, s.width);
        if (op.dv) zero_rows(output_of(op.dv, head, 0), before, s.keys, s.outputs);
    }
}

}  // namespace

BACKPASS_KERNEL(AttentionForward, attention_forward)
BACKPASS_KERNEL(AttentionBackward, attention_backward)
BACKPASS_KERNEL(AttentionStep, attention_step)

}  // namespace backpass::BACKPASS_ISA
