// bfloat16: the upper half of a float32, with 8 significant bits. A float32 is the sum of up to three of them.
#pragma once
#include "../vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// x rounded to bfloat16, in the upper halves of the lanes; the lower ones are 0. To the nearest, ties to even; denormals become 0,
// what is larger than all of bfloat16 inf. VCVTNEPS2BF16 gives these bits.
BP_INLINE uvec<float> to_bf16(vec<float> x) {
    const uvec<float> bits = as_bits(x);
    const ivec<float> magnitude = as_int(x) & 0x7fffffff;
    const uvec<float> nearest = bits + 0x7fffu + (bits >> 16 & 1u);
    const uvec<float> number = magnitude > 0x7f800000 ? bits | 0x400000u : nearest;  // a NaN stays one
    return (magnitude < 0x800000 ? bits & 0x80000000u : number) & 0xffff0000u;
}

// Even or odd lanes of two vectors; one lane of the first half, one of the second, and so on.
template <int Odd>
struct EverySecond {
    static constexpr int at(int i) { return 2 * i + Odd; }
};
template <int Lanes>
struct Interleaved {
    static constexpr int at(int i) { return i / 2 + i % 2 * (Lanes / 2); }
};

// Two neighbouring k as one word, the first in its lower half. `converts`: by the instruction for that.
BP_INLINE uvec<float> pair_of([[maybe_unused]] bool converts, vec<float> first, vec<float> second) {
#if BP_BF16
    if (converts) {
        typedef std::uint16_t halves __attribute__((vector_size(kBytes)));
        const auto words = (halves)as_bf16(first, second);
        return (uvec<float>)shuffle<Interleaved<2 * width<float>>>(words, words);
    }
#endif
    return to_bf16(first) >> 16 | to_bf16(second);
}

// 2 w numbers, first those of a, as w pairs of neighbours.
BP_INLINE uvec<float> pairs_of([[maybe_unused]] bool converts, vec<float> a, vec<float> b) {
#if BP_BF16
    if (converts) return as_bf16(a, b);
#endif
    return pair_of(converts, shuffle<EverySecond<0>>(a, b), shuffle<EverySecond<1>>(a, b));
}

// Are these rows x columns numbers sums of finite parts? inf and NaN are not, nor is what rounds to inf.
inline constexpr std::int32_t kTooLarge = 0x7f7f8000;
inline bool are_sums(const float* data, Index rows, Index columns, Index ld) {
    ivec<float> largest{};
    for (Index r = 0; r < rows; ++r, data += ld)
        each_vector<float>(columns, [&](Index i, int n) BP_INLINED {
            const ivec<float> magnitude = as_int(load_some(data + i, n)) & 0x7fffffff;
            largest = magnitude > largest ? magnitude : largest;
        });
    return reduce_max(largest) < kTooLarge;
}

// ---- the emulation of VDPBF16PS and TDPBF16PS --------------------------------------------------------------

BP_INLINE float no_denormal(float x) {
    return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0, x) : x;
}

// a * b + c with one rounding, to nearest; denormals are 0, as operands and as results. The product is exact in double, and the sum
// is rounded to odd there, so that the second rounding does what one would.
BP_INLINE float multiply_add(float a, float b, float c) {
    const double product = double(no_denormal(a)) * double(no_denormal(b)), other = double(no_denormal(c));
    double sum = product + other;
    const double rest = sum - product, error = (product - (sum - rest)) + (other - rest);
    std::uint64_t bits;
    __builtin_memcpy(&bits, &sum, sizeof bits);
    if ((error < 0 || error > 0) && bits % 2 == 0) bits += (error > 0) == (sum > 0) ? 1 : std::uint64_t(-1);
    __builtin_memcpy(&sum, &bits, sizeof bits);
    // A result counts as denormal if it is one after rounding to 24 bits.
    return __builtin_fabs(sum) < 0x1p-126 - 0x1p-151 ? float(__builtin_copysign(0, sum)) : float(sum);
}

BP_INLINE float as_number(std::uint32_t word) {
    float x;
    __builtin_memcpy(&x, &word, sizeof x);
    return x;
}
// The upper or the lower half of a word, as a float.
BP_INLINE float upper_of(std::uint32_t word) { return as_number(word & 0xffff0000u); }
BP_INLINE float lower_of(std::uint32_t word) { return as_number(word << 16); }

// What VDPBF16PS does with one lane.
BP_INLINE float add_pair(float sum, std::uint32_t a, std::uint32_t b) {
    sum = multiply_add(upper_of(a), upper_of(b), sum);
    return multiply_add(lower_of(a), lower_of(b), sum);
}

// What TDPBF16PS does with one element: of 16 pairs a chain of the lower halves and one of the upper ones, which it adds.
inline float add_pairs_of_tile(float sum, const std::uint32_t* a, const std::uint32_t* b) {
    float lower = 0, upper = 0;
    for (int k = 0; k < 16; ++k) {
        lower = multiply_add(lower_of(a[k]), lower_of(b[k]), lower);
        upper = multiply_add(upper_of(a[k]), upper_of(b[k]), upper);
    }
    return no_denormal(no_denormal(sum) + no_denormal(lower + upper));
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
