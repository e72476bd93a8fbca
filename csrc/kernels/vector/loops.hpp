// Loops through memory from end to end: whole vectors, then a last vector of fewer lanes.
#pragma once
#include "lanes.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Load or store the first n lanes. For whole vectors n is the constant width<T>, and the test disappears.
template <class T>
BP_INLINE vec<T> load_some(const T* p, int n) {
    return n == width<T> ? load(p) : load_tail(p, n);
}
template <class T>
BP_INLINE void store_some(T* p, vec<T> v, int n) {
    n == width<T> ? store(p, v) : store_tail(p, v, n);
}

// The first n lanes at p + i; `other` in all lanes if p is null.
template <class T>
BP_INLINE vec<T> load_or(T other, const T* p, Index i, int n) {
    return p ? load_some(p + i, n) : broadcast<T>(other);
}

// v in the first n lanes, `other` in the rest.
template <class V>
BP_INLINE V keep_first(V v, int n, lane<V> other = 0) {
    using Int = lane<ivec<lane<V>>>;
    return n == width<lane<V>> ? v : select<V>(iota<Int>() < Int(n), v, broadcast<lane<V>>(other));
}

// f(i, n) for each vector of the elements [begin, end): n elements at i.
template <class T, class F>
BP_INLINE void each_vector(Range elements, F f) {
    auto [i, end] = elements;
    for (; i + width<T> <= end; i += width<T>) f(i, width<T>);
    if (i < end) f(i, int(end - i));
}
template <class T, class F>
BP_INLINE void each_vector(Index size, F f) {
    each_vector<T>(Range{0, size}, f);
}

// The elements, rows or channels of some tasks, if each task has a piece of `size`.
BP_INLINE Range covered(Range tasks, Index piece, Index size) {
    const Index end = tasks.end * piece;
    return {tasks.begin > 0 ? tasks.begin * piece : 0, end < size ? end : size};
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
