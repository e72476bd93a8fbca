// One pass of an optimizer step over parameters, gradients and moments. The step is a function of vectors.
#pragma once
#include <limits>
#include <type_traits>

#include "kernel.hpp"
#include "vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// One moment of every parameter. Given is false if the moment is absent: it reads as zero, and stores are dropped.
template <class T, bool Given = true>
struct Slot {
    T* data;
};
template <bool Given, class T>
BP_INLINE Slot<T, Given> slot(const Tensor<T>& t) {
    return {t.data};
}
template <class T>
BP_INLINE Slot<T> slot(const Tensor<T>& t) {
    return {t.data};
}

template <class T, bool Given>
BP_INLINE vec<T> load_some(Slot<T, Given> slot, Index i, int n) {
    if constexpr (Given) return load_some(slot.data + i, n);
    return vec<T>{};
}
template <class T, bool Given>
BP_INLINE void store_some(Slot<T, Given> slot, Index i, vec<T> v, int n) {
    if constexpr (Given) store_some(slot.data + i, v, n);
}

// Call f with the flag as a compile-time constant.
template <class F>
BP_INLINE void either(bool flag, F f) {
    if (flag)
        f(std::true_type{});
    else
        f(std::false_type{});
}

// f(p, g, slots...) for every vector of the range; p and the slots are stored afterwards. Before the call g is scaled and
// limited to clip_value, and weight decay is applied: g += λ p, or p -= lr λ p if decoupled.
template <bool Decoupled, class T, class F, class... Slots>
BP_INLINE void sweep(const Update<T>& op, Range range, F f, Slots... slots) {
    constexpr int w = width<T>;
    // An element belongs to the same of the two loops below, however the range is cut into tasks.
    static_assert(kUpdatePiece % (2 * w) == 0);
    T* const params = op.params.data;
    const T* const grads = op.grads.data;
    const vec<T> scale = broadcast<T>(T(op.scale.data[0])), limit = broadcast<T>(T(op.clip_value));
    const T decay = T(Decoupled ? 1 - op.lr.data[0] * op.weight_decay : op.weight_decay);

    const bool plain = op.weight_decay == 0 && op.clip_value == std::numeric_limits<double>::infinity();
    either(plain, [&]<bool Plain>(std::bool_constant<Plain>) BP_INLINED {
        const auto update = [=](Index i, int n) BP_INLINED {
            vec<T> p = load_some(params + i, n), g = load_some(grads + i, n) * scale;
            if constexpr (!Plain) {
                g = min(limit, max(-limit, g));  // a NaN passes through
                if constexpr (Decoupled)
                    p *= decay;
                else
                    g += decay * p;
            }
            [&](auto... moments) BP_INLINED {
                f(p, g, moments...);
                store_some(params + i, p, n);
                (store_some(slots, i, moments, n), ...);
            }(load_some(slots, i, n)...);
        };
        auto [i, end] = covered(range, kUpdatePiece, op.params.size());
        for (; i + 2 * w <= end; i += 2 * w) {
            update(i, w);
            update(i + w, w);
        }
        for (; i < end; i += w) update(i, int(end - i < w ? end - i : w));
    });
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
