// A part of an image, with zeros where it reaches beyond the border.
#pragma once
#include "../vector/simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// An image of `height` x `across` places of `channels` channels, of which `run` are read from data on.
template <class T>
struct Source {
    const T* data;
    Index height, across, channels, run;

    BP_INLINE Index image() const { return height * across * channels; }
};

template <class T>
BP_INLINE void fill_zeros(T* p, Index n) {
    __builtin_memset(p, 0, std::size_t(n) * sizeof(T));
}

// Places [top, top + rows) x [left, left + columns) of an image.
template <class T>
__attribute__((noinline)) void copy_patch(const T* image, const Source<T>& source, Index top, Index rows,
                                          Index left, Index columns, T* to) {
    const Index run = source.run, right = left + columns;
    // Columns [begin, end) lie inside.
    const Index begin = left < 0 ? 0 : left, end = right < source.across ? right : source.across;
    for (Index y = top; y < top + rows; ++y, to += columns * run) {
        if (y < 0 || y >= source.height || begin >= end) {
            fill_zeros(to, columns * run);
            continue;
        }
        const T* line = image + y * source.across * source.channels;
        T* at = to + (begin - left) * run;
        fill_zeros(to, (begin - left) * run);
        if (run == source.channels)
            __builtin_memcpy(at, line + begin * run, std::size_t((end - begin) * run) * sizeof(T));
        else
            for (Index x = begin; x < end; ++x)
                for (Index r = 0; r < run; ++r) at[(x - begin) * run + r] = line[x * source.channels + r];
        fill_zeros(at + (end - begin) * run, (right - end) * run);
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
