// The few vector operations that the kernel needs, as wide as the registers of the instruction set that
// it is compiled for. Where GCC's portable vector types do the work well, they do it; intrinsics are
// left for what they lack or what gcc 12 takes apart into single steps.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
typedef float Floats __attribute__((vector_size(LANES * 4)));
typedef float Floats4 __attribute__((vector_size(16)));

inline Floats load(const float* from) {
    Floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline void store(float* to, Floats value) { std::memcpy(to, &value, sizeof value); }

inline Floats splat(float value) { return value - Floats{}; }

inline Floats least(Floats a, Floats b) {
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#else
    return a < b ? a : b;
#endif
}

// a * b + c, rounded once where the processor can: only for sums whose last bits may differ from dlib's.
inline Floats fused(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

inline Floats root(Floats value) {
#if defined(__AVX512F__)
    return _mm512_sqrt_ps(value);
#elif defined(__AVX2__)
    return _mm256_sqrt_ps(value);
#elif defined(__x86_64__)
    return _mm_sqrt_ps(value);
#elif defined(__aarch64__)
    return vsqrtq_f32(value);
#else
    for (int lane = 0; lane < LANES; ++lane) value[lane] = std::sqrt(value[lane]);
    return value;
#endif
}

typedef uint8_t Bytes __attribute__((vector_size(LANES)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));

// Written out, for gcc 12 turns __builtin_convertvector between bytes and integers into single steps.
inline Ints load_bytes(const uint8_t* from) {
#if defined(__AVX512F__)
    return (Ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)from));
#elif defined(__AVX2__)
    return (Ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)from));
#elif defined(__x86_64__)
    int32_t bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    const __m128i zero = _mm_setzero_si128();
    return (Ints)_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(bytes), zero), zero);
#else
    Bytes bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, Ints);
#endif
}

inline void store_bytes(uint8_t* to, Ints value) {
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i*)to, _mm512_cvtepi32_epi8((__m512i)value));
#elif defined(__AVX2__)
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)value),
                                           _mm256_extracti128_si256((__m256i)value, 1));
    _mm_storel_epi64((__m128i*)to, _mm_packus_epi16(words, words));
#elif defined(__x86_64__)
    const __m128i words = _mm_packs_epi32((__m128i)value, (__m128i)value);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    std::memcpy(to, &bytes, sizeof bytes);
#else
    const Bytes bytes = __builtin_convertvector(value, Bytes);
    std::memcpy(to, &bytes, sizeof bytes);
#endif
}

inline Floats to_floats(Ints value) { return __builtin_convertvector(value, Floats); }

// Gradients are computed in 16 bits, two vectors' worth of pixels at a time. Products of a gradient
// (at most 255) and a byte need all 16 of them, hence the unsigned type.
constexpr int WIDE = 2 * LANES;
typedef int16_t Shorts __attribute__((vector_size(WIDE * 2)));
typedef uint16_t Words __attribute__((vector_size(WIDE * 2)));
typedef uint8_t WideBytes __attribute__((vector_size(WIDE)));

inline Shorts load_wide(const uint8_t* from) {
#if defined(__AVX512F__)
    return (Shorts)_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i*)from));
#elif defined(__AVX2__)
    return (Shorts)_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i*)from));
#elif defined(__x86_64__)
    return (Shorts)_mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i*)from), _mm_setzero_si128());
#else
    WideBytes bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, Shorts);
#endif
}

inline void store_wide(uint8_t* to, Shorts value) {
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i*)to, _mm512_cvtepi16_epi8((__m512i)value));
#elif defined(__AVX2__)
    const __m128i low = _mm256_castsi256_si128((__m256i)value), high = _mm256_extracti128_si256((__m256i)value, 1);
    _mm_storeu_si128((__m128i*)to, _mm_packus_epi16(low, high));
#elif defined(__x86_64__)
    _mm_storel_epi64((__m128i*)to, _mm_packus_epi16((__m128i)value, (__m128i)value));
#else
    const WideBytes bytes = __builtin_convertvector(value, WideBytes);
    std::memcpy(to, &bytes, sizeof bytes);
#endif
}

// The two halves of a wide vector, each number to 32 bits.
inline Ints lower(Words value) {
#if defined(__AVX512F__)
    return (Ints)_mm512_cvtepu16_epi32(_mm512_castsi512_si256((__m512i)value));
#elif defined(__AVX2__)
    return (Ints)_mm256_cvtepu16_epi32(_mm256_castsi256_si128((__m256i)value));
#elif defined(__x86_64__)
    return (Ints)_mm_unpacklo_epi16((__m128i)value, _mm_setzero_si128());
#else
    Ints result;
    for (int lane = 0; lane < LANES; ++lane) result[lane] = value[lane];
    return result;
#endif
}

inline Ints upper(Words value) {
#if defined(__AVX512F__)
    return (Ints)_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64((__m512i)value, 1));
#elif defined(__AVX2__)
    return (Ints)_mm256_cvtepu16_epi32(_mm256_extracti128_si256((__m256i)value, 1));
#elif defined(__x86_64__)
    return (Ints)_mm_unpackhi_epi16((__m128i)value, _mm_setzero_si128());
#else
    Ints result;
    for (int lane = 0; lane < LANES; ++lane) result[lane] = value[LANES + lane];
    return result;
#endif
}

}  // namespace
