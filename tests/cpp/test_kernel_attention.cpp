// Attention of one ISA row against loops in double, for every way in which heads lie in memory.
#include "laid.hpp"
#include "naive_philox.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// Of (B, T, heads, D): as a projection of three writes it, heads outside of steps, steps backwards.
enum class Heads { packed, outside, backwards };

struct Shape {
    int64_t B, T, S, H, D, E;
};
// What is asked of an attention.
struct Asked {
    bool causal = false, lengths = false, dropout = false, shown = true;
    int mask = 0;  // 1: numbers; 2: and -inf, with keys that nobody uses
    Heads lie = Heads::packed;
};

constexpr std::uint64_t kSeed = 0x123456789abcdef;
constexpr double kP = 0.3, kScale = 0.7;

Extents strides_of(int64_t steps, int64_t heads, int64_t width, Heads lie) {
    if (lie == Heads::outside) return {heads * steps * width, width, steps * width, 1};
    const int64_t row = 3 * heads * width;
    return {steps * row, lie == Heads::backwards ? -row : row, width, 1};
}
template <class T>
Laid<T> laid(int64_t batch, int64_t steps, int64_t heads, int64_t width, Heads lie) {
    return Laid<T>({batch, steps, heads, width}, strides_of(steps, heads, width, lie), -1, 1);
}

// What the loops in double give for one sample and head.
struct Naive {
    std::vector<double> p, weight, y, dq, dk, dv, dmask;
};

template <class T>
class Case {
  public:
    Case(Shape s, Asked asked)
        : s(s),
          asked(asked),
          q(laid<T>(s.B, s.T, s.H, s.D, asked.lie)),
          k(laid<T>(s.B, s.S, s.H, s.D, asked.lie)),
          v(laid<T>(s.B, s.S, s.H, s.E, asked.lie)),
          dy(laid<T>(s.B, s.T, s.H, s.E, asked.lie)),
          mask({s.B, s.H, s.T, s.S}, Extents{0, 0, s.S, 1}, -1, 1),
          lengths({s.B}, -1, double(s.S) + 2),
          y(Array<T>::filled({s.B, s.T, s.H, s.E})),
          p(Array<T>::filled({s.B, s.H, s.T, s.S})),
          dmask(Array<T>::filled({s.B, s.H, s.T, s.S})) {
        if (asked.mask == 2)
            for (int64_t t = 0; t < s.T; ++t)
                for (int64_t j = 0; j < s.S; ++j)
                    if (unused(j) || t % 5 == 3 || (t + j) % 4 == 1)
                        mask.memory()[t * s.S + j] = -std::numeric_limits<T>::infinity();
        // What nobody uses may be anything.
        for (int64_t i = 0; asked.mask == 2 && i < k.size(); ++i)
            if (unused(i / (s.H * s.D) % s.S)) k[i] = T(NAN);
        for (int64_t i = 0; asked.mask == 2 && i < v.size(); ++i)
            if (unused(i / (s.H * s.E) % s.S)) v[i] = T(i % 2 ? NAN : 1e30);
    }

    void check() {
        AttentionForward<T> forward;
        fill(forward);
        forward.y = y, forward.probabilities = when(asked.shown, p);
        forward.seed = int64_t(kSeed), forward.stream = 3;
        run(forward);
        if (asked.shown) {
            const Laid<T> dq = laid<T>(s.B, s.T, s.H, s.D, asked.lie),
                          dk = laid<T>(s.B, s.S, s.H, s.D, asked.lie),
                          dv = laid<T>(s.B, s.S, s.H, s.E, asked.lie);
            AttentionBackward<T> backward;
            fill(backward);
            backward.probabilities = p, backward.dy = dy;
            backward.dq = dq, backward.dk = dk, backward.dv = dv,
            backward.dmask = when(asked.mask > 0, dmask);
            run(backward);
            compare(&dq, &dk, &dv);
        } else {
            compare(nullptr, nullptr, nullptr);
        }
    }

  private:
    bool unused(int64_t j) const { return j % 7 == 2 || j + 1 == s.S; }

    template <class Op>
    void fill(Op& op) {
        op.q = q, op.k = k, op.v = v;
        if (asked.mask > 0) op.mask = mask;
        if (asked.lengths) op.lengths = lengths;
        if (asked.dropout) op.step = step;
        op.scale = kScale, op.causal = asked.causal, op.p = kP;
    }

    bool counts(int64_t b, int64_t t, int64_t j) const {
        if (asked.lengths && j >= lengths[b]) return false;
        if (asked.causal && j > t) return false;
        return asked.mask == 0 || std::isfinite(double(mask[((b * s.H) * s.T + t) * s.S + j]));
    }

    Naive naive(int64_t b, int64_t h) const {
        const auto at = [&](const Laid<T>& a, int64_t i, int64_t d, int64_t steps, int64_t width) {
            return double(a[((b * steps + i) * s.H + h) * width + d]);
        };
        const auto zeros = [](int64_t n) { return std::vector<double>(std::size_t(n), 0); };
        Naive n{zeros(s.T * s.S), zeros(s.T * s.S), zeros(s.T * s.E), zeros(s.T * s.D),
                zeros(s.S * s.D), zeros(s.S * s.E), zeros(s.T * s.S)};
        for (int64_t t = 0; t < s.T; ++t) {
            double top = -INFINITY, total = 0, mean = 0;
            const auto place = [&](int64_t j) { return std::size_t(t * s.S + j); };
            for (int64_t j = 0; j < s.S; ++j) {
                if (!counts(b, t, j)) continue;
                double& score = n.p[place(j)];
                for (int64_t d = 0; d < s.D; ++d) score += at(q, t, d, s.T, s.D) * at(k, j, d, s.S, s.D);
                score = score * kScale + (asked.mask ? double(mask[(b * s.H * s.T + t) * s.S + j]) : 0);
                top = std::max(top, score);
            }
            for (int64_t j = 0; j < s.S; ++j)
                if (counts(b, t, j)) total += n.p[place(j)] = std::exp(n.p[place(j)] - top);
            std::vector<double> flow = zeros(s.S);
            for (int64_t j = 0; j < s.S; ++j) {
                if (!counts(b, t, j)) continue;
                double& prob = n.p[place(j)];
                prob /= total;
                const int64_t element = ((b * s.H + h) * s.T + t) * s.S + j;
                const bool kept = !asked.dropout || double(naive::drawn(element, 5, 3, kSeed)) >= kP * 0x1p32;
                const double weight = n.weight[place(j)] = kept ? prob / (asked.dropout ? 1 - kP : 1) : 0;
                for (int64_t d = 0; d < s.E; ++d) {
                    n.y[std::size_t(t * s.E + d)] += weight * at(v, j, d, s.S, s.E);
                    n.dv[std::size_t(j * s.E + d)] += weight * at(dy, t, d, s.T, s.E);
                    flow[std::size_t(j)] += weight * at(dy, t, d, s.T, s.E) * at(v, j, d, s.S, s.E);
                }
                mean += flow[std::size_t(j)];
                if (!kept) prob = -prob;
            }
            for (int64_t j = 0; j < s.S; ++j) {
                if (!counts(b, t, j)) continue;
                const double change = flow[std::size_t(j)] - std::fabs(n.p[place(j)]) * mean;
                n.dmask[place(j)] = change;
                for (int64_t d = 0; d < s.D; ++d) {
                    n.dq[std::size_t(t * s.D + d)] += kScale * change * at(k, j, d, s.S, s.D);
                    n.dk[std::size_t(j * s.D + d)] += kScale * change * at(q, t, d, s.T, s.D);
                }
            }
        }
        return n;
    }

    void compare(const Laid<T>* dq, const Laid<T>* dk, const Laid<T>* dv) const {
        const double ulps = 60, size = double(s.T + s.S + s.E);
        for (int64_t b = 0; b < s.B; ++b)
            for (int64_t h = 0; h < s.H; ++h) {
                const Naive n = naive(b, h);
                const auto place = [&](int64_t i, int64_t d, int64_t steps, int64_t width) {
                    return ((b * steps + i) * s.H + h) * width + d;
                };
                const int64_t head = (b * s.H + h) * s.T * s.S;
                for (int64_t i = 0; i < s.T * s.S && asked.shown; ++i) {
                    CHECK(is_close(p[head + i], n.p[std::size_t(i)], ulps));
                    CHECK(n.p[std::size_t(i)] != 0 || p[head + i] == T(0));
                    if (asked.mask) CHECK(is_close(dmask[head + i], n.dmask[std::size_t(i)], ulps, size));
                }
                const auto all = [&](const auto& got, const std::vector<double>& want, int64_t steps,
                                     int64_t width) {
                    for (int64_t i = 0; i < steps * width; ++i)
                        CHECK(is_close(got[place(i / width, i % width, steps, width)], want[std::size_t(i)],
                                       ulps, size));
                };
                all(y, n.y, s.T, s.E);
                if (!dq) continue;
                all(*dq, n.dq, s.T, s.D), all(*dk, n.dk, s.S, s.D), all(*dv, n.dv, s.S, s.E);
            }
    }

    Shape s;
    Asked asked;
    Laid<T> q, k, v, dy, mask;
    Array<int64_t> lengths, step{{1}, 5, 5};
    Array<T> y, p, dmask;
};

template <class T>
void attend(Shape s, Asked asked) {
    Case<T>(s, asked).check();
}

// Some steps of a sequence after others, and what a whole attention gives; what is not filled yet may be anything.
template <class T>
void steps_after_others(int64_t first, int64_t T_, int64_t most) {
    const int64_t B = 2, H = 3, D = 5, E = 4, all = first + T_;
    const Laid<T> q = laid<T>(B, all, H, D, Heads::packed), k = laid<T>(B, all, H, D, Heads::packed),
                  v = laid<T>(B, all, H, E, Heads::packed);
    const auto y = Array<T>::filled({B, all, H, E});
    AttentionForward<T> whole;
    whole.q = q, whole.k = k, whole.v = v, whole.y = y, whole.scale = kScale, whole.causal = true;
    run(whole);
    const auto keys = Array<T>::filled({B, most, H, D}), values = Array<T>::filled({B, most, H, E});
    for (const auto& [begin, end] : {std::pair{int64_t(0), first}, std::pair{first, all}}) {
        const auto part = [&, from = begin, to = end](Strided<const T> a) {
            a.data += from * a.stride[1], a.shape[1] = to - from;
            return a;
        };
        const Array<int64_t> start({1}, double(begin), double(begin));
        const auto got = Array<T>::filled({B, end - begin, H, E}),
                   p = Array<T>::filled({B, H, end - begin, most});
        AttentionStep<T> op;
        op.q = part(whole.q), op.k = part(whole.k), op.v = part(whole.v);
        op.start = start, op.keys = keys, op.values = values, op.y = got, op.probabilities = p,
        op.scale = kScale;
        CHECK(op.invalid() == nullptr);
        run(op);
        for (int64_t b = 0; b < B; ++b)
            for (int64_t i = 0; i < (end - begin) * H * E; ++i)
                CHECK(is_close(got[b * (end - begin) * H * E + i], double(y[(b * all + begin) * H * E + i]),
                               60, double(all)));
        for (int64_t row = 0; row < B * H * (end - begin); ++row)
            for (int64_t j = begin + row % (end - begin) + 1; j < most; ++j) CHECK(p[row * most + j] == T(0));
    }
}

// A start that is forged writes nothing outside.
template <class T>
void forged_starts() {
    const Laid<T> x = laid<T>(1, 3, 2, 4, Heads::packed);
    for (const int64_t at : {int64_t(-2), int64_t(4), int64_t(6), INT64_MIN, INT64_MAX}) {
        const auto keys = Array<T>::filled({1, 5, 2, 4}), values = Array<T>::filled({1, 5, 2, 4}),
                   y = Array<T>::filled({1, 3, 2, 4});
        Array<int64_t> start({1}, 0, 0);
        start[0] = at;
        AttentionStep<T> op;
        op.q = x, op.k = x, op.v = x, op.start = start, op.keys = keys, op.values = values, op.y = y;
        run(op);
        const bool inside = at == -2 || at == 4;
        CHECK(inside || (keys[0] == T(77) && keys[39] == T(77) && values[0] == T(77) && values[39] == T(77)));
        if (at == -2) CHECK(y[0] == T(0) && keys[0] == x[2 * 8]);
        if (at == 4) CHECK(keys[31] == T(77) && keys[32] == x[0]);
        if (at == INT64_MIN) CHECK(y[0] == T(0) && y[23] == T(0));
    }
}

template <class T>
void refuses() {
    const auto wrong = [](Extents q, Extents strides, int64_t keys) {
        const Laid<T> query(q, strides), key({2, keys, 3, 4}, Lies::contiguous);
        const auto y = Array<T>::filled({2, 5, 3, 4});
        AttentionForward<T> op;
        op.q = query, op.k = key, op.v = key, op.y = y;
        return op.invalid() != nullptr;
    };
    CHECK(!wrong({2, 5, 3, 4}, {60, 12, 4, 1}, 6) && !wrong({2, 5, 3, 4}, {0, 0, 0, 1}, 6));
    CHECK(wrong({2, 5, 3, 4}, {120, 24, 8, 2}, 6) && wrong({2, 5, 3, 3}, {60, 12, 4, 1}, 6));
    CHECK(wrong({2, 5, 3, 4}, {60, 12, 4, 1}, kMostKeys + 1) && wrong({1, 5, 3, 4}, {60, 12, 4, 1}, 6));
}

template <class T>
void check(T) {
    for (const Heads lie : {Heads::packed, Heads::outside, Heads::backwards})
        for (int64_t n = 0; n <= 20; ++n) {
            Asked asked{.causal = n % 2 == 0,
                        .lengths = n % 3 == 0,
                        .dropout = n % 5 == 0,
                        .shown = true,
                        .mask = int(n % 3),
                        .lie = lie};
            attend<T>({2, n, 5, 2, 3, 4}, asked), attend<T>({1, 4, n, 3, 2, 1}, asked);
            attend<T>({n, 3, 2, 1, 5, 2}, asked), attend<T>({1, 3, 4, n, 1, 3}, asked);
            attend<T>({2, 3, 4, 2, n, 5}, asked), attend<T>({2, 3, 4, 2, 5, n}, asked);
        }
    for (const int64_t steps : {1, 15, 16, 17, 31, 33, 64, 65, 70})
        for (int bits = 0; bits < 24; ++bits) {
            Asked asked{.causal = bool(bits & 1),
                        .lengths = bool(bits & 2),
                        .dropout = bool(bits & 4),
                        .shown = bits % 8 != 3,
                        .mask = bits / 8,
                        .lie = Heads::packed};
            attend<T>({2, steps, steps, 2, 8, 8}, asked);
        }
    for (int bits = 0; bits < 8;
         ++bits) {  // several blocks of queries, and a row of scores of more than a page
        Asked asked{.causal = bool(bits & 1),
                    .lengths = bool(bits & 2),
                    .dropout = bool(bits & 4),
                    .shown = true,
                    .mask = bits % 3,
                    .lie = Heads::packed};
        attend<T>({1, 150, 200, 1, 33, 16}, asked), attend<T>({1, 9, 2100, 1, 4, 3}, asked);
    }
    for (const int64_t first : {1, 4, 40})
        for (const int64_t steps : {1, 2, 37}) steps_after_others<T>(first, steps, first + steps + first % 3);
    forged_starts<T>();
    refuses<T>();
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
