// The vector type of each instruction set, and the operations on it. Every #ifdef on an instruction set stands here.
//
// The compiler defines operators (+ - * / & | ^ << >> < == ...) on vectors. A comparison gives an ivec, all ones where true.
// `T op vec` broadcasts the scalar. The functions below are what operators cannot say.
#pragma once
#include <type_traits>
#include <utility>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "../../ops/types.hpp"

#ifndef BACKPASS_ISA
#error "BACKPASS_ISA names the row: baseline, avx2, avx512 or neon"
#endif

// Everything is inlined into the kernels and local to their file: two instruction sets can never share a copy.
namespace backpass::BACKPASS_ISA {
namespace {

using Index = std::int64_t;

// a + b and a - b modulo 2^64: an overflow, as of a forged counter, is defined.
BP_INLINE Index wrapping_add(Index a, Index b) { return Index(std::uint64_t(a) + std::uint64_t(b)); }
BP_INLINE Index wrapping_subtract(Index a, Index b) { return Index(std::uint64_t(a) - std::uint64_t(b)); }

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define BP_AVX512 1
constexpr int kBytes = 64, kRegisters = 32;
constexpr bool kFused = true;
#elif defined(__AVX2__) && defined(__FMA__)
#define BP_AVX2 1
constexpr int kBytes = 32, kRegisters = 16;
constexpr bool kFused = true;
#elif defined(__SSE2__)
#define BP_SSE 1
constexpr int kBytes = 16, kRegisters = 16;
constexpr bool kFused = false;  // fma() rounds twice
#elif defined(__aarch64__)
#define BP_NEON 1
constexpr int kBytes = 16, kRegisters = 32;
constexpr bool kFused = true;
#else
#error "no vector row for this processor"
#endif

template <class T, int Bytes>
struct Vector {
    typedef T type __attribute__((vector_size(Bytes)));
};

template <class T>
using vec = typename Vector<T, kBytes>::type;  // T: float, double or an integer
template <class T>
using ivec = decltype(vec<T>{} < vec<T>{});  // signed, same lanes: masks and bits
template <class T>
using uvec = vec<std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
template <class T>
inline constexpr int width = kBytes / int(sizeof(T));
template <class V>
using lane = std::remove_cvref_t<decltype(std::declval<V&>()[0])>;  // vec<T> -> T

// ---- memory -----------------------------------------------------------------------------------------------

template <class T>
BP_INLINE vec<T> load(const T* p) {
    vec<T> v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
BP_INLINE void store(T* p, std::type_identity_t<vec<T>> v) {
    __builtin_memcpy(p, &v, sizeof v);
}

template <class T>
BP_INLINE vec<T> broadcast(std::type_identity_t<T> x) {
    return x - vec<T>{};  // + would turn -0 into 0
}

template <class T>
BP_INLINE vec<T> iota() {  // 0, 1, 2, ...
    return []<int... I>(std::integer_sequence<int, I...>)
               BP_INLINED { return vec<T>{T(I)...}; }(std::make_integer_sequence<int, width<T>>{});
}

// Load the first n lanes, 0 <= n <= width, and zeros. Memory beyond the n lanes is left alone.
template <class T>
BP_INLINE vec<T> load_tail(const T* p, int n) {
#if BP_AVX512
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
    else
        return (vec<T>)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p);
#elif BP_AVX2
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm256_maskload_ps((const float*)p, (__m256i)(iota<std::int32_t>() < n));
    else
        return (vec<T>)_mm256_maskload_pd((const double*)p,
                                          (__m256i)(iota<std::int64_t>() < std::int64_t(n)));
#else
    if (n == 0) return vec<T>{};
    if (n == 1) return vec<T>{p[0]};
    if constexpr (width<T> == 4) {
        if (n == 2) return vec<T>{p[0], p[1]};
        if (n == 3) return vec<T>{p[0], p[1], p[2]};
    }
    return load(p);
#endif
}

// The same pointer, of which the compiler no longer knows where it came from: else it works out all addresses of an unrolled loop
// ahead, and has no registers for them.
template <class T>
BP_INLINE T* walked(T* p) {
    __asm__("" : "+r"(p));
    return p;
}

// 16 bytes from each of so many places `apart`, next to each other: the width of a vector.
template <class T>
BP_INLINE vec<T> load_blocks(const T* p, Index apart) {
#if BP_AVX512
    // Inserted from memory a block takes any port that adds, from a register only the one that shuffles.
    const auto block = [&](int i) BP_INLINED { return _mm_loadu_ps((const float*)(p + i * apart)); };
    __m512 v = _mm512_castps128_ps512(block(0));
    v = _mm512_insertf32x4(v, block(1), 1);
    v = _mm512_insertf32x4(v, block(2), 2);
    return (vec<T>)_mm512_insertf32x4(v, block(3), 3);
#elif BP_AVX2
    const __m256 v = _mm256_castps128_ps256(_mm_loadu_ps((const float*)p));
    return (vec<T>)_mm256_insertf128_ps(v, _mm_loadu_ps((const float*)(p + apart)), 1);
#else
    (void)apart;
    return load(p);
#endif
}

template <class T>
BP_INLINE void store_tail(T* p, std::type_identity_t<vec<T>> v, int n) {
#if BP_AVX512
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)v);
    else
        _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m512d)v);
#elif BP_AVX2
    if constexpr (sizeof(T) == 4)
        _mm256_maskstore_ps((float*)p, (__m256i)(iota<std::int32_t>() < n), (__m256)v);
    else
        _mm256_maskstore_pd((double*)p, (__m256i)(iota<std::int64_t>() < std::int64_t(n)), (__m256d)v);
#else
    if (n == width<T>) return store(p, v);
    if (n > 0) p[0] = v[0];
    if constexpr (width<T> == 4) {
        if (n > 1) p[1] = v[1];
        if (n > 2) p[2] = v[2];
    }
#endif
}

// ---- bits and conversions ---------------------------------------------------------------------------------

template <class V>
BP_INLINE auto as_int(V v) {
    return (ivec<lane<V>>)v;
}
template <class V>
BP_INLINE auto as_bits(V v) {  // unsigned, so that arithmetic wraps around
    return (uvec<lane<V>>)v;
}
template <class I>
BP_INLINE auto as_float(I v) {
    return (vec<std::conditional_t<sizeof(lane<I>) == 4, float, double>>)v;
}

// Convert between integers and floats that hold integers. In float64 |x| must be below 2^51; other lanes are arbitrary.
template <class V>
BP_INLINE auto to_int(V v) {
    using T = lane<V>;
#if BP_AVX2 || BP_SSE
    if constexpr (sizeof(T) == 8)
        // By the mantissa, for want of an instruction.
        return (ivec<T>)(as_bits(v + 0x1.8p52) - 0x4338000000000000u);
    else
#endif
        return __builtin_convertvector(v, ivec<T>);
}
template <class I>
BP_INLINE auto to_float(I v) {
    using T = std::conditional_t<sizeof(lane<I>) == 4, float, double>;
#if BP_AVX2 || BP_SSE
    if constexpr (sizeof(T) == 8)
        return as_float(as_bits(v) + 0x4338000000000000u) - 0x1.8p52;
    else
#endif
        return __builtin_convertvector(v, vec<T>);
}

// A word whose bit i says whether lane i of an integer vector is nonzero.
template <class I>
BP_INLINE unsigned nonzero_lanes(I v) {
    constexpr bool f32 = sizeof(lane<I>) == 4;
#if BP_AVX512
    if constexpr (f32)
        return _mm512_test_epi32_mask((__m512i)v, (__m512i)v);
    else
        return _mm512_test_epi64_mask((__m512i)v, (__m512i)v);
#elif BP_NEON
    if constexpr (f32)
        return vaddvq_u32((uint32x4_t)(v != 0) & uint32x4_t{1, 2, 4, 8});
    else
        return unsigned(vaddvq_u64((uint64x2_t)(v != 0) & uint64x2_t{1, 2}));
#elif BP_AVX2
    if constexpr (f32)
        return unsigned(_mm256_movemask_ps((__m256)(v != 0)));
    else
        return unsigned(_mm256_movemask_pd((__m256d)(v != 0)));
#else
    if constexpr (f32)
        return unsigned(_mm_movemask_ps((__m128)(v != 0)));
    else
        return unsigned(_mm_movemask_pd((__m128d)(v != 0)));
#endif
}

// ---- arithmetic -------------------------------------------------------------------------------------------

// mask ? a : b, lane by lane; the mask comes from a comparison.
template <class V>
BP_INLINE V select(ivec<lane<V>> mask, V a, V b) {
    return mask ? a : b;
}

template <class V>
BP_INLINE V abs(V v) {
    using T = lane<V>;
    return as_float(as_int(v) & lane<ivec<T>>(sizeof(T) == 4 ? 0x7fffffff : 0x7fffffffffffffff));
}

// BP_CALL(f, ...) calls the intrinsic f of this instruction set. With AVX-512 it is the maskz form, because GCC 12 warns of
// undefined lanes in the plain one.
#if BP_AVX512
#define BP_CALL(op, ...) _mm512_maskz_##op(sizeof(lane<V>) == 4 ? 0xffff : 0xff, __VA_ARGS__)
using float_register = __m512;
using double_register = __m512d;
#elif BP_AVX2
#define BP_CALL(op, ...) _mm256_##op(__VA_ARGS__)
using float_register = __m256;
using double_register = __m256d;
#elif BP_SSE
#define BP_CALL(op, ...) _mm_##op(__VA_ARGS__)
using float_register = __m128;
using double_register = __m128d;
#endif

// a * b + c with one rounding; with two on the baseline, which has no such instruction.
template <class V>
BP_INLINE V fma(V a, V b, V c) {
#if BP_AVX512 || BP_AVX2
    if constexpr (sizeof(lane<V>) == 4)
        return (V)BP_CALL(fmadd_ps, (float_register)a, (float_register)b, (float_register)c);
    else
        return (V)BP_CALL(fmadd_pd, (double_register)a, (double_register)b, (double_register)c);
#elif BP_NEON
    if constexpr (sizeof(lane<V>) == 4)
        return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
    else
        return (V)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

template <class V>
BP_INLINE V sqrt(V v) {
#if BP_NEON
    if constexpr (sizeof(lane<V>) == 4)
        return (V)vsqrtq_f32((float32x4_t)v);
    else
        return (V)vsqrtq_f64((float64x2_t)v);
#else
    if constexpr (sizeof(lane<V>) == 4)
        return (V)BP_CALL(sqrt_ps, (float_register)v);
    else
        return (V)BP_CALL(sqrt_pd, (double_register)v);
#endif
}

// 1/√v and 1/v to 14 bits, the start of Newton's method. Only AVX-512 has instructions for them that pay.
#if BP_AVX512
constexpr bool kEstimates = true;
BP_INLINE vec<float> rsqrt_estimate(vec<float> v) {
    return (vec<float>)_mm512_maskz_rsqrt14_ps(0xffff, (__m512)v);
}
BP_INLINE vec<float> reciprocal_estimate(vec<float> v) {
    return (vec<float>)_mm512_maskz_rcp14_ps(0xffff, (__m512)v);
}
#else
constexpr bool kEstimates = false;
BP_INLINE vec<float> rsqrt_estimate(vec<float> v) { return 1.0f / sqrt(v); }
BP_INLINE vec<float> reciprocal_estimate(vec<float> v) { return 1.0f / v; }
#endif

// What only CPUs with AVX512_BF16 can do: the caller has asked. Written as assembly, because the row's flags do not have it.
#if BP_AVX512
#define BP_BF16 1
#ifdef __linux__
#define BP_AMX 1  // by matmul/amx.hpp; other systems are not asked to save its registers
#endif
// sum + a b, where each lane of a and b is a pair of bfloat16: first the upper products, then the lower ones.
BP_INLINE vec<float> add_pairs(vec<float> sum, uvec<float> a, uvec<float> b) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
// The lanes of `low`, then those of `high`, as bfloat16 of 16 bits each.
BP_INLINE uvec<float> as_bf16(vec<float> low, vec<float> high) {
    uvec<float> words;
    __asm__("vcvtne2ps2bf16 %2, %1, %0" : "=v"(words) : "v"(high), "v"(low));
    return words;
}
#endif

// min and max return b if either is NaN: min(limit, x) lets a NaN in x through.
template <class V>
BP_INLINE V min(V a, V b) {
#if BP_NEON
    return a < b ? a : b;
#else
    if constexpr (sizeof(lane<V>) == 4)
        return (V)BP_CALL(min_ps, (float_register)a, (float_register)b);
    else
        return (V)BP_CALL(min_pd, (double_register)a, (double_register)b);
#endif
}
template <class V>
BP_INLINE V max(V a, V b) {
#if BP_NEON
    return a > b ? a : b;
#else
    if constexpr (sizeof(lane<V>) == 4)
        return (V)BP_CALL(max_ps, (float_register)a, (float_register)b);
    else
        return (V)BP_CALL(max_pd, (double_register)a, (double_register)b);
#endif
}

// 2^n as a float, for a whole number n and a normal result.
template <class V>
BP_INLINE V power_of_two(V n) {
    using T = lane<V>;
    constexpr bool f32 = sizeof(T) == 4;
    const V one = broadcast<T>(1);
    return as_float((as_bits(n + T(f32 ? 0x1.8p23 : 0x1.8p52)) << (f32 ? 23 : 52)) + as_bits(one));
}

#if BP_NEON
#define BP_REGISTER(v) "+w"(v)
#else
#define BP_REGISTER(v) "+x"(v)
#endif

// v, rounded: the compiler cannot fuse it into a sum.
template <class V>
BP_INLINE V rounded(V v) {
    __asm__("" : BP_REGISTER(v));
    return v;
}

// v * 2^n rounded once, for a whole number |n| below twice the exponent range. Denormal results are right, large ones inf.
template <class V>
BP_INLINE V scale(V v, V n) {
#if BP_AVX512
    if constexpr (sizeof(lane<V>) == 4)
        return (V)BP_CALL(scalef_ps, (__m512)v, (__m512)n);
    else
        return (V)BP_CALL(scalef_pd, (__m512d)v, (__m512d)n);
#else
    using T = lane<V>;
    constexpr T round = T(sizeof(T) == 4 ? 0x1.8p23 : 0x1.8p52);
    const V half = (n * T(0.5) + round) - round;
    // rounded(), because inf fused into the caller's sum would come out finite.
    return rounded(v * power_of_two(half) * power_of_two(n - half));
#endif
}

// 64-bit products of the even uint32 lanes (0, 2, 4, ...), for counter-based random numbers.
BP_INLINE vec<std::uint64_t> multiply_even(vec<std::uint32_t> a, vec<std::uint32_t> b) {
    using W = vec<std::uint64_t>;
#if BP_AVX512
    return (W)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
#elif BP_AVX2
    return (W)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif BP_SSE
    return (W)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (W)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#endif
}

// ---- state of the floating-point unit ---------------------------------------------------------------------

// The word that controls this thread's floating-point arithmetic, and its bits under which denormals count as zero.
#if BP_NEON
using ControlWord = std::uint64_t;
constexpr ControlWord kDenormalsAreZero = ControlWord(1) << 24;
BP_INLINE ControlWord control_word() {
    ControlWord word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
}
BP_INLINE void set_control_word(ControlWord word) { __asm__ volatile("msr fpcr, %0" ::"r"(word)); }
#else
using ControlWord = unsigned;
constexpr ControlWord kDenormalsAreZero = 0x8040;  // as results (FTZ) and as operands (DAZ)
BP_INLINE ControlWord control_word() { return _mm_getcsr(); }
BP_INLINE void set_control_word(ControlWord word) { _mm_setcsr(word); }
#endif

}  // namespace
}  // namespace backpass::BACKPASS_ISA
