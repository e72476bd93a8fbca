// Measurements while training, and the core's peak.
#include <cmath>

#include "../ops/measure.hpp"
#include "kernel.hpp"
#include "vector/sums.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// norms[l] = √Σ (flat - before)² over the elements from ends[l-1] to ends[l], in double
template <class T>
void part_norms(const PartNorms<T>& op, Range range, Scratch) {
    const T *const flat = op.flat.data, *const before = op.before.data;
    const Index size = op.flat.size();
    const auto place = [&](Index l) BP_INLINED {
        const Index end = l < 0 ? 0 : op.ends.data[l];
        return end < 0 ? 0 : end < size ? end : size;
    };
    for (Index l = range.begin; l < range.end; ++l) {
        Sum<double> total;
        const auto add = [&](Index i, int n) BP_INLINED {
            const vec<T> d = load_some(flat + i, n) - load_or(T(0), before, i, n);
            if constexpr (sizeof(T) == 8) {
                total.add(d * d);
            } else {
                constexpr int half = width<double>;
                const auto low = __builtin_convertvector(shuffle<From<0>, vec<T>, half>(d, d), vec<double>);
                const auto high =
                    __builtin_convertvector(shuffle<From<half>, vec<T>, half>(d, d), vec<double>);
                total.add(low * low);
                total.add(high * high);
            }
        };
        each_vector<T>(Range{place(l - 1), place(l)}, add);
        op.norms.data[l] = std::sqrt(total.total());
    }
}

// fired[o] = sample where y > 0 in any row; share = the fraction of units with sample - fired >= min(window, sample + 1)
template <class T>
void dead_units(const DeadUnits<T>& op, Range, Scratch) {
    const Index rows = op.y.rows(), units = op.y.cols(), sample = op.sample.data[0];
    const Index seen = wrapping_add(sample, 1), window = op.window < seen ? op.window : seen;
    Index dead = 0;
    each_vector<T>(units, [&](Index o, int n) BP_INLINED {
        vec<T> largest{};
        for (Index b = 0; b < rows; ++b) largest = max(load_some(op.y.data + b * op.y.ld() + o, n), largest);
        for (int k = 0; k < n; ++k) {
            std::int64_t& fired = op.fired.data[o + k];
            if (largest[k] > 0) fired = sample;
            dead += wrapping_subtract(sample, fired) >= window;
        }
    });
    op.share.data[0] = units ? double(dead) / double(units) : 0;
}

// share = the fraction of elements with |y - centre| > reach
template <class T>
void saturated_units(const SaturatedUnits<T>& op, Range, Scratch) {
    // NumPy has arrays of 2^40 empty rows.
    const Index units = op.y.cols(), rows = units ? op.y.rows() : 0;
    const vec<T> centre = broadcast<T>(T(op.centre)), reach = broadcast<T>(T(op.reach));
    ivec<T> far{};
    for (Index b = 0; b < rows; ++b)
        each_vector<T>(units, [&](Index o, int n) BP_INLINED {
            far -= keep_first(abs(load_some(op.y.data + b * op.y.ld() + o, n) - centre), n) > reach;
        });
    op.share.data[0] = op.y.size() ? double(sum(far)) / double(op.y.size()) : 0;
}

// y = x, then `rounds` times y = y factor + term. Twelve vectors at a time hide the latency of a multiply-add on every CPU.
template <class T>
void multiply_add(const MultiplyAdd<T>& op, Range range, Scratch) {
    constexpr int w = width<T>, together = 12;
    const vec<T> factor = broadcast<T>(T(op.factor)), term = broadcast<T>(T(op.term));
    const Range elements = covered(range, kElementPiece, op.x.size());
    for (Index i = elements.begin; i < elements.end; i += together * w) {
        const auto lanes = [&](int v) BP_INLINED {
            const Index left = elements.end - i - v * w;
            return int(left < 0 ? 0 : left < w ? left : w);
        };
        vec<T> y[together];
        for (int v = 0; v < together; ++v)
            y[v] = lanes(v) ? load_some(op.x.data + i + v * w, lanes(v)) : vec<T>{};
        for (Index round = 0; round < op.rounds; ++round)
            for (int v = 0; v < together; ++v) y[v] = fma(y[v], factor, term);
        for (int v = 0; v < together; ++v)
            if (lanes(v)) store_some(op.y.data + i + v * w, y[v], lanes(v));
    }
}

}  // namespace

BACKPASS_KERNEL(PartNorms, part_norms)
BACKPASS_KERNEL(DeadUnits, dead_units)
BACKPASS_KERNEL(SaturatedUnits, saturated_units)
BACKPASS_KERNEL(MultiplyAdd, multiply_add)

}  // namespace backpass::BACKPASS_ISA
