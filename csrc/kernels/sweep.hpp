// One pass of an optimizer step over parameters, gradients and moments; the step itself is a function of vectors.
#pragma once
#include <type_traits>

#include "kernel.hpp"
#include "simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// One moment of every parameter; Given is false for an optional one that is absent: it reads as zero and is not written.
template <class T, bool Given = true> struct Slot {
    T* data;
};
template <bool Given, class T> BP_INLINE Slot<T, Given> slot(const Tensor<T>& t) { return {t.data}; }
template <class T> BP_INLINE Slot<T> slot(const Tensor<T>& t) { return {t.data}; }

// Access to a vector, or to its first n lanes.
struct Whole {
    template <class T> BP_INLINE vec<T> get(const T* p) const { return load(p); }
    template <class T> BP_INLINE void put(T* p, vec<T> v) const { store(p, v); }
};
struct Part {
    int n;
    template <class T> BP_INLINE vec<T> get(const T* p) const { return load_tail(p, n); }
    template <class T> BP_INLINE void put(T* p, vec<T> v) const { store_tail(p, v, n); }
};

template <class T, bool Given, class Access>
BP_INLINE vec<T> get(Slot<T, Given> slot, std::int64_t i, Access access) {
    if constexpr (Given) return access.get(slot.data + i);
    return vec<T>{};
}
template <class T, bool Given, class Access>
BP_INLINE void put(Slot<T, Given> slot, std::int64_t i, vec<T> v, Access access) {
    if constexpr (Given) access.put(slot.data + i, v);
}

// f(p, g, slots...) for every vector of the range, then what it left in p and the slots is stored.
// g = limit(scale grads, clip_value), and the decay is done: g += λ p, or p -= lr λ p if decoupled.
template <bool Decoupled, class T, class F, class... Slots>
BP_INLINE void sweep(const Update<T>& op, Range range, F f, Slots... slots) {
    constexpr std::int64_t w = width<T>;
    static_assert(kUpdatePiece % (2 * w) == 0);  // so that the cut into tasks moves no element between loops
    T* const params = op.params.data;
    const T* const grads = op.grads.data;
    const vec<T> scale = broadcast<T>(T(op.scale.data[0])), limit = broadcast<T>(T(op.clip_value));
    const T decay = T(Decoupled ? 1 - op.lr.data[0] * op.weight_decay : op.weight_decay);

    const auto update = [=](std::int64_t i, auto access) BP_INLINED {
        vec<T> p = access.get(params + i);
        vec<T> g = min(limit, max(-limit, access.get(grads + i) * scale));  // a NaN stays one
        if constexpr (Decoupled)
            p *= decay;
        else
            g += decay * p;
        [&](auto... moments) BP_INLINED {
            f(p, g, moments...);
            access.put(params + i, p);
            (put(slots, i, moments, access), ...);
        }(get(slots, i, access)...);
    };
    const std::int64_t size = op.params.size(), cut = range.end * kUpdatePiece, end = cut < size ? cut : size;
    std::int64_t i = range.begin * kUpdatePiece;
    for (; i + 2 * w <= end; i += 2 * w) {
        update(i, Whole{});
        update(i + w, Whole{});
    }
    for (; i < end; i += w) update(i, Part{int(end - i < w ? end - i : w)});
}

// f with the flag as a template argument.
template <class F> BP_INLINE void either(bool flag, F f) {
    if (flag)
        f(std::true_type{});
    else
        f(std::false_type{});
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
