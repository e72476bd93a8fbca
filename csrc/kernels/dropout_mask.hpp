// Which values dropout keeps, from random words.
#pragma once
#include "vector/loops.hpp"
#include "vector/philox.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// scale where a random word reaches the threshold, 0 elsewhere.
template <class T>
BP_INLINE vec<T> mask_of(const Word* words, Word threshold, T scale) {
    if constexpr (sizeof(T) == 4) {
        return select<vec<T>>(load(words) >= threshold, broadcast<T>(scale), vec<T>{});
    } else {
        typename Vector<Word, kBytes / 2>::type half;
        __builtin_memcpy(&half, words, sizeof half);
        return select<vec<T>>(__builtin_convertvector(half, ivec<T>) >= lane<ivec<T>>(threshold),
                              broadcast<T>(scale), vec<T>{});
    }
}

BP_INLINE Word threshold_of(double p) {
    const double limit = p * 0x1p32;
    return limit > 0 ? Word(limit < 0x1p32 - 1 ? limit : 0x1p32 - 1) : 0;
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
