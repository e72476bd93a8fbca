// Ring 1: an activation over n elements in a row, forward and backward; alone, or after a product.
#pragma once
#include "formulas.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// f(first element, number of lanes, whether they are a part of a vector), over n elements.
template <class T, class F>
BP_INLINE void for_each_vector(std::int64_t n, F f) {
    std::int64_t i = 0;
    for (; i + width<T> <= n; i += width<T>) f(i, width<T>, std::false_type{});
    if (i < n) f(i, int(n - i), std::true_type{});
}

// y = f(z), and slope = f'(z) unless that is null. z and y may be the same.
template <class T>
void activate(Activation activation, const T* z, T* y, T* slope, std::int64_t n, T alpha) {
    dispatch(activation, [&](auto tag) {
        constexpr Activation A = decltype(tag)::value;
        for_each_vector<T>(n, [&](std::int64_t i, int lanes, auto partial) BP_INLINED {
            const vec<T> zi = partial ? load_tail(z + i, lanes) : load(z + i);
            const vec<T> yi = backpass::BACKPASS_ISA::value<A>(zi, alpha);
            partial ? store_tail(y + i, yi, lanes) : store(y + i, yi);
            if (!slope) return;
            const vec<T> si = backpass::BACKPASS_ISA::slope<A>(stores_slope(A) ? zi : yi, alpha);
            partial ? store_tail(slope + i, si, lanes) : store(slope + i, si);
        });
    });
}

// dx = dy f'(z): the slope is read from `slope`, or if that is null computed from s (what the activation gave). dx may be dy.
template <class T>
void multiply_slope(Activation activation, const T* s, const T* slope, const T* dy, T* dx, std::int64_t n, T alpha) {
    auto multiply = [&](auto slope_at) BP_INLINED {
        for_each_vector<T>(n, [&](std::int64_t i, int lanes, auto partial) BP_INLINED {
            const T* from = slope ? slope : s;
            const vec<T> at = slope_at(partial ? load_tail(from + i, lanes) : load(from + i));
            const vec<T> dxi = (partial ? load_tail(dy + i, lanes) : load(dy + i)) * at;
            partial ? store_tail(dx + i, dxi, lanes) : store(dx + i, dxi);
        });
    };
    if (slope) return multiply([](auto at) BP_INLINED { return at; });
    dispatch(activation, [&](auto tag) {
        multiply([&](auto at) BP_INLINED { return backpass::BACKPASS_ISA::slope<decltype(tag)::value>(at, alpha); });
    });
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
