// Elements of an array of any strides, in C order: piece by piece along the last dimension.
#pragma once
#include "loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Where element `begin` of an array is, and how to go on from it.
template <class T>
struct Walk {
    const Strided<T>& array;
    Index at[kMaxDims] = {};
    Index offset = 0;

    // The first `dims` dimensions alone count.
    BP_INLINE Walk(const Strided<T>& array, Index begin, int dims) : array(array), dims(dims) {
        for (int i = dims - 1; i >= 0 && begin > 0; --i) {
            at[i] = begin % array.shape[i];
            begin /= array.shape[i];
            offset += at[i] * array.stride[i];
        }
    }
    // The next element, or by `count` if no more are left of the last dimension.
    BP_INLINE void next(Index count = 1) {
        for (int i = dims - 1; i >= 0; --i, count = 1) {
            at[i] += count;
            offset += count * array.stride[i];
            if (at[i] < array.shape[i]) return;
            offset -= at[i] * array.stride[i];
            at[i] = 0;
        }
    }

    int dims;
};

// f(offset, stride, i, n) for pieces of elements [begin, begin + count): element i + k of them is at offset + k * stride.
template <class T, class F>
BP_INLINE void each_run(const Strided<T>& array, Index begin, Index count, F f) {
    if (array.ndim == 0) {
        if (count > 0) f(Index(0), Index(1), Index(0), count);
        return;
    }
    const int last = array.ndim - 1;
    Walk<T> walk(array, begin, array.ndim);
    for (Index i = 0; i < count;) {
        const Index left = array.shape[last] - walk.at[last], n = left < count - i ? left : count - i;
        f(walk.offset, array.stride[last], i, n);
        walk.next(n);
        i += n;
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
