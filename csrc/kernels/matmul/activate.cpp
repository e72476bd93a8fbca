// The loops of all activations, compiled once.
#include "activate.hpp"

#include "../formulas.hpp"
#include "../vector/loops.hpp"

namespace backpass::BACKPASS_ISA {

template <class T>
void activate(Activation activation, const T* z, T* y, T* kept, Index n, T alpha) {
    dispatch(activation, [&](auto tag) {
        constexpr Activation A = decltype(tag)::value;
        each_vector<T>(n, [&](Index i, int lanes) BP_INLINED {
            const vec<T> zi = load_some(z + i, lanes), yi = value<A>(zi, alpha);
            store_some(y + i, yi, lanes);
            if (kept) store_some(kept + i, slope<A>(stores_slope(A) ? zi : yi, alpha), lanes);
        });
    });
}

template <class T>
void multiply_slope(Activation activation, const T* y, const T* kept, const T* dy, T* dx, Index n, T alpha) {
    const auto multiply = [&](const T* from, auto slope_at) BP_INLINED {
        each_vector<T>(n, [&](Index i, int lanes) BP_INLINED {
            store_some(dx + i, load_some(dy + i, lanes) * slope_at(load_some(from + i, lanes)), lanes);
        });
    };
    if (kept) return multiply(kept, [](vec<T> s) BP_INLINED { return s; });
    dispatch(activation, [&](auto tag) {
        multiply(y, [&](vec<T> s) BP_INLINED { return slope<decltype(tag)::value>(s, alpha); });
    });
}

template void activate(Activation, const float*, float*, float*, Index, float);
template void activate(Activation, const double*, double*, double*, Index, double);
template void multiply_slope(Activation, const float*, const float*, const float*, float*, Index, float);
template void multiply_slope(Activation, const double*, const double*, const double*, double*, Index, double);

}  // namespace backpass::BACKPASS_ISA
