// The softmax of short rows of scores, with queries in the lanes of vectors: scores are (keys, queries) here. A row of few vectors costs
// more for what happens between its lanes than for its exponentials.
//
// Sums have the order of sum(sum_vectors()): the bits are those of a row by itself.
#pragma once
#include "vector/sums.hpp"
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Keys of a row at most: of more vectors, sum_vectors() goes on in another order.
template <class T>
constexpr Index kKeysInLanes = 4 * width<T>;
constexpr Index kFewestInLanes = 4;

// Whether a block is computed this way.
template <class T>
BP_INLINE bool fits_in_lanes(Index queries, Index keys) {
    return queries >= kFewestInLanes && keys <= kKeysInLanes<T>;
}

// Scores of a block: key k of query r is at data[k * ld + r].
template <class T>
struct ScoresInLanes {
    T* data;
    Index ld, keys, queries;
    // The first query's keys; each later one has one more, up to `keys`, if causal.
    Index first;
    bool causal;

    // How many keys the queries from r on have, in each lane.
    BP_INLINE vec<T> counted(Index r) const {
        if (!causal) return broadcast<T>(T(keys));
        const vec<T> own = __builtin_convertvector(iota<lane<ivec<T>>>(), vec<T>) + T(first + r);
        return min(own, broadcast<T>(T(keys)));
    }
};

// The sum of terms that come key by key, lane by lane, as sum(sum_vectors()) adds them up over the lanes of a row.
template <class T>
class SumOfKeys {
  public:
    BP_INLINE explicit SumOfKeys(Index keys) : whole_(keys == kKeysInLanes<T>) {}
    BP_INLINE void add(Index key, vec<T> term) {
        in_turn_[key % width<T>] += term;
        if (whole_) halves_[key / (2 * width<T>)][key % width<T>] += term;
    }
    BP_INLINE vec<T> total(vec<T> counted) {
        const vec<T> in_turn = over_lanes(in_turn_);
        if (!whole_) return in_turn;
        for (Index j = 0; j < width<T>; ++j) halves_[0][j] += halves_[1][j];
        return select(counted == T(kKeysInLanes<T>), over_lanes(halves_[0]), in_turn);
    }

  private:
    BP_INLINE static vec<T> over_lanes(vec<T>* of_lane) {
        for (Index half = width<T> / 2; half > 0; half /= 2)
            for (Index j = 0; j < half; ++j) of_lane[j] += of_lane[j + half];
        return of_lane[0];
    }

    bool whole_;
    vec<T> in_turn_[width<T>] = {}, halves_[2][width<T>] = {};
};

// Scores become probabilities of the keys that each query has.
template <class T>
__attribute__((noinline)) void softmax_in_lanes(const ScoresInLanes<T>& s, T scale) {
    constexpr T inf = T(__builtin_inf()), lowest = T(sizeof(T) == 4 ? -87 : -708);
    each_vector<T>(s.queries, [&](Index r, int n) BP_INLINED {
        const vec<T> counted = s.counted(r);
        vec<T> top = broadcast<T>(-inf);
        for (Index k = 0; k < s.keys; ++k) {
            const vec<T> x = load_some(s.data + k * s.ld + r, n) * scale;
            store_some(s.data + k * s.ld + r, x, n);
            top = max(top, select(T(k) < counted, x, broadcast<T>(-inf)));
        }
        const vec<T> shift = select(top == -inf, vec<T>{}, top);
        SumOfKeys<T> sum(s.keys);
        for (Index k = 0; k < s.keys; ++k) {
            const vec<T> d = load_some(s.data + k * s.ld + r, n) - shift;
            const vec<T> e = select(T(k) < counted, select(d < lowest, vec<T>{}, exp(d)), vec<T>{});
            store_some(s.data + k * s.ld + r, e, n);
            sum.add(k, e);
        }
        const vec<T> total = sum.total(counted), factor = select(total == T(0), vec<T>{}, T(1) / total);
        for (Index k = 0; k < s.keys; ++k) {
            const vec<T> p = load_some(s.data + k * s.ld + r, n) * factor;
            store_some(s.data + k * s.ld + r, select(T(k) < counted, p, vec<T>{}), n);
        }
    });
}

// Gradients of probabilities become those of scores: P (dP - Σ P dP) scale. p: P, where the scores are.
template <class T>
__attribute__((noinline)) void softmax_backward_in_lanes(const ScoresInLanes<T>& s, const T* p, T scale) {
    each_vector<T>(s.queries, [&](Index r, int n) BP_INLINED {
        SumOfKeys<T> sum(s.keys);
        for (Index k = 0; k < s.keys; ++k) {
            const vec<T> weight = load_some(p + k * s.ld + r, n);
            T* const d = s.data + k * s.ld + r;
            const vec<T> product = select(weight == T(0), vec<T>{}, weight * load_some(d, n));
            store_some(d, product, n);
            sum.add(k, product);
        }
        const vec<T> total = sum.total(s.counted(r));
        for (Index k = 0; k < s.keys; ++k) {
            const vec<T> probability = load_some(p + k * s.ld + r, n);
            T* const d = s.data + k * s.ld + r;
            const vec<T> change = load_some(d, n) - probability * total;
            store_some(d, select(probability == T(0), vec<T>{}, change) * scale, n);
        }
    });
}

// to (columns, rows) = from (rows, columns) transposed.
template <class T>
__attribute__((noinline)) void transpose_rows(const T* from, Index ld, Index rows, Index columns, T* to,
                                              Index ld_to) {
    constexpr int w = width<T>;
    for (Index r = 0; r < rows; r += w)
        for (Index c = 0; c < columns; c += w) {
            const int high = int(rows - r < w ? rows - r : w), wide = int(columns - c < w ? columns - c : w);
            vec<T> square[w];
            for (int i = 0; i < w; ++i)
                square[i] = i < high ? load_some(from + (r + i) * ld + c, wide) : vec<T>{};
            transpose<T>(square);
            for (int i = 0; i < wide; ++i) store_some(to + (c + i) * ld_to + r, square[i], high);
        }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
