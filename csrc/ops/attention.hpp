// Scaled dot-product attention of queries (B, T, heads, D) to keys (B, S, heads, D) and values (B, S, heads, E).
#pragma once
#include <string_view>

#include "fields.hpp"

namespace backpass {

// Working memory for the scores of a block of queries; what the products pack stands beside it.
inline constexpr std::int64_t kScoreBytes = 1 << 20;
inline constexpr std::int64_t kMostKeys = 1 << 14;

// Elements from one row of scores to the next: rows spread over the sets of a cache.
BP_INLINE std::int64_t score_stride(std::int64_t keys) { return (keys + 15) / 16 * 16 + 16; }

// Whether the last dimension lies together, as the products read it.
template <class... Arrays>
bool dense_rows(const Arrays&... arrays) {
    const auto fits = [](const auto& a) {
        return !a || a.size() == 0 || a.shape[a.ndim - 1] <= 1 || a.stride[a.ndim - 1] == 1;
    };
    return (fits(arrays) && ...);
}

// An optional array of this shape.
template <class A>
bool is_shaped(const A& a, std::int64_t n0, std::int64_t n1, std::int64_t n2, std::int64_t n3) {
    return !a ||
           (a.ndim == 4 && a.shape[0] == n0 && a.shape[1] == n1 && a.shape[2] == n2 && a.shape[3] == n3);
}

// Sizes of an attention, and how its queries are cut into blocks.
struct AttentionShape {
    std::int64_t batch, queries, keys, heads, width, outputs, rows;

    template <class T, class Q, class K, class V>
    BP_INLINE static AttentionShape of(const Q& q, const K& k, const V& v, bool causal) {
        AttentionShape s{q.shape[0], q.shape[1], k.shape[1], q.shape[2], q.shape[3], v.shape[3], 0};
        // Two blocks of scores fit into the working memory. Low blocks of causal attention leave out more of the upper triangle.
        const std::int64_t fitting = kScoreBytes / 2 / (score_stride(s.keys) * std::int64_t(sizeof(T)));
        const std::int64_t most = causal ? 32 : 64;
        s.rows = fitting < 1 ? 1 : fitting < most ? fitting : most;
        return s;
    }
    BP_INLINE std::int64_t blocks() const { return pieces(queries, rows); }
    double products(bool causal) const {
        return double(batch) * double(heads) * double(queries) * double(keys) * (causal ? 0.5 : 1.0);
    }
};

// Tasks: blocks of queries of one sample and head.
template <class T>
struct AttentionForward {
    static constexpr const char* name = "attention_forward";
    Strided<const T> q, k, v, mask;
    Tensor<const std::int64_t> lengths, step;
    Tensor<T> y, probabilities;
    double scale = 1, p = 0;
    bool causal = false;
    std::int64_t seed = 0, stream = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("q", q);
        field("k", k);
        field("v", v);
        field("mask", mask, optional);
        field("lengths", lengths, optional);
        field("step", step, optional);
        field("y", y);
        field("probabilities", probabilities, optional);
        field("scale", scale);
        field("causal", causal);
        field("p", p);
        field("seed", seed);
        field("stream", stream);
    }
    const char* invalid() const {
        if (q.ndim != 4 || k.ndim != 4 || v.ndim != 4) return "q, k and v must have 4 dimensions";
        const AttentionShape s = shape();
        if (!is_shaped(k, s.batch, s.keys, s.heads, s.width) ||
            !is_shaped(v, s.batch, s.keys, s.heads, s.outputs))
            return "q, k and v must be (B, T, H, D), (B, S, H, D) and (B, S, H, E)";
        if (!is_shaped(y, s.batch, s.queries, s.heads, s.outputs)) return "y must be (B, T, H, E)";
        if (!is_shaped(mask, s.batch, s.heads, s.queries, s.keys) ||
            !is_shaped(probabilities, s.batch, s.heads, s.queries, s.keys))
            return "mask and probabilities must be (B, H, T, S)";
        if (!has_size(lengths, s.batch)) return "lengths must be (B,)";
        if (!has_size(step, 1)) return "step must be (1,)";
        if (s.keys > kMostKeys) return "more than 16384 keys";
        return dense_rows(q, k, v, mask) ? nullptr
                                         : "the last dimension of q, k, v and mask must lie together";
    }
    double flops() const {
        const AttentionShape s = shape();
        return s.products(causal) * (2.0 * double(s.width + s.outputs) + 25.0);
    }
    double bytes() const {
        return double(sizeof(T)) * (double(q.size() + k.size() + v.size() + y.size()) +
                                    double(probabilities ? probabilities.size() : 0));
    }
    BP_INLINE AttentionShape shape() const { return AttentionShape::of<T>(q, k, v, causal); }
    BP_INLINE std::int64_t tasks() const {
        if (y.size() == 0 && (!probabilities || probabilities.size() == 0)) return 0;
        const AttentionShape s = shape();
        return s.batch * s.heads * s.blocks();
    }
    // Random words are counted from the first row of a batch.
    std::int64_t rows() const { return step ? 0 : shared_rows(q, k, v, mask, lengths, y, probabilities); }
    static constexpr bool is_of_rows(std::string_view) { return true; }
};

// Tasks: a sample and head.
template <class T>
struct AttentionBackward {
    static constexpr const char* name = "attention_backward";
    Strided<const T> q, k, v, mask, dy;
    Tensor<const std::int64_t> lengths, step;
    Tensor<const T> probabilities;
    Strided<T> dq, dk, dv;
    Tensor<T> dmask;
    double scale = 1, p = 0;
    bool causal = false;

    template <class Visit>
    void fields(Visit&& field) {
        field("q", q);
        field("k", k);
        field("v", v);
        field("mask", mask, optional);
        field("lengths", lengths, optional);
        field("step", step, optional);
        field("probabilities", probabilities);
        field("dy", dy);
        field("dq", dq, optional);
        field("dk", dk, optional);
        field("dv", dv, optional);
        field("dmask", dmask, optional);
        field("scale", scale);
        field("causal", causal);
        field("p", p);
    }
    const char* invalid() const {
        if (q.ndim != 4 || k.ndim != 4 || v.ndim != 4) return "q, k and v must have 4 dimensions";
        const AttentionShape s = shape();
        if (!is_shaped(k, s.batch, s.keys, s.heads, s.width) ||
            !is_shaped(v, s.batch, s.keys, s.heads, s.outputs))
            return "q, k and v must be (B, T, H, D), (B, S, H, D) and (B, S, H, E)";
        if (!is_shaped(dy, s.batch, s.queries, s.heads, s.outputs)) return "dy must be (B, T, H, E)";
        if (!is_shaped(mask, s.batch, s.heads, s.queries, s.keys) ||
            !is_shaped(probabilities, s.batch, s.heads, s.queries, s.keys) ||
            !is_shaped(dmask, s.batch, s.heads, s.queries, s.keys))
            return "mask, probabilities and dmask must be (B, H, T, S)";
        if (!same_shape(q, dq) || !same_shape(k, dk) || !same_shape(v, dv))
            return "dq, dk and dv must be like q, k and v";
        if (!has_size(lengths, s.batch)) return "lengths must be (B,)";
        if (!has_size(step, 1)) return "step must be (1,)";
        if (s.keys > kMostKeys) return "more than 16384 keys";
        return dense_rows(q, k, v, dy, dq, dk, dv)
                   ? nullptr
                   : "the last dimension of q, k, v, dy, dq, dk and dv must lie together";
    }
    double flops() const {
        const AttentionShape s = shape();
        return s.products(causal) * (4.0 * double(s.width + s.outputs) + 10.0);
    }
    double bytes() const {
        return double(sizeof(T)) *
               (2.0 * double(q.size() + k.size() + v.size()) + double(dy.size() + probabilities.size()));
    }
    BP_INLINE AttentionShape shape() const { return AttentionShape::of<T>(q, k, v, causal); }
    BP_INLINE std::int64_t tasks() const {
        const auto some = [](const auto& a) { return a && a.size() > 0; };
        return some(dq) || some(dk) || some(dv) || some(dmask) ? q.shape[0] * q.shape[2] : 0;
    }
    std::int64_t rows() const {
        return shared_rows(q, k, v, mask, lengths, probabilities, dy, dq, dk, dv, dmask);
    }
    static constexpr bool is_of_rows(std::string_view name) { return name != "step"; }
};

// The next steps of a sequence: their keys and values are taken in, their queries attend to all up to their own step.
// Tasks: a sample and head.
template <class T>
struct AttentionStep {
    static constexpr const char* name = "attention_step";
    Strided<const T> q, k, v;
    Tensor<const std::int64_t> start;
    Tensor<T> keys, values, y, probabilities;
    double scale = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("q", q);
        field("k", k);
        field("v", v);
        field("start", start);
        field("keys", keys);
        field("values", values);
        field("y", y);
        field("probabilities", probabilities, optional);
        field("scale", scale);
    }
    const char* invalid() const {
        if (q.ndim != 4 || k.ndim != 4 || v.ndim != 4 || keys.ndim != 4 || values.ndim != 4)
            return "q, k, v, keys and values must have 4 dimensions";
        const std::int64_t batch = q.shape[0], steps = q.shape[1], heads = q.shape[2], most = keys.shape[1];
        if (!same_shape(q, k) || !is_shaped(v, batch, steps, heads, v.shape[3]))
            return "q and k must be (B, T, H, D), v (B, T, H, E)";
        if (!is_shaped(keys, batch, most, heads, q.shape[3]) ||
            !is_shaped(values, batch, most, heads, v.shape[3]))
            return "keys and values must be (B, S, H, D) and (B, S, H, E)";
        if (!same_shape(v, y)) return "y must be like v";
        if (!is_shaped(probabilities, batch, heads, steps, most)) return "probabilities must be (B, H, T, S)";
        if (!has_size(start, 1)) return "start must be (1,)";
        if (most > kMostKeys) return "more than 16384 keys";
        return dense_rows(q, k, v) ? nullptr : "the last dimension of q, k and v must lie together";
    }
    // Keys and values as a whole attention reads them.
    BP_INLINE AttentionForward<T> over_all() const {
        AttentionForward<T> all;
        all.q = q, all.k = strided(keys), all.v = strided(values), all.y = y;
        all.probabilities = probabilities, all.scale = scale, all.causal = true;
        return all;
    }
    double flops() const { return over_all().flops(); }
    double bytes() const { return over_all().bytes(); }
    BP_INLINE std::int64_t tasks() const { return q.shape[0] * q.shape[2]; }

  private:
    BP_INLINE static Strided<const T> strided(const Tensor<T>& a) {
        Strided<const T> view;
        view.data = a.data, view.ndim = 4;
        std::int64_t step = 1;
        for (int i = 3; i >= 0; step *= a.shape[i--]) view.shape[i] = a.shape[i], view.stride[i] = step;
        return view;
    }
};

using AttentionOps = BothDtypes<AttentionForward, AttentionBackward, AttentionStep>;

}  // namespace backpass
