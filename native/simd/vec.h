// The contract of Vec<T>: what each vec_<isa>.h provides inside the anonymous namespace of its
// translation unit, and the few macros kernels are written with. This header defines no function,
// so including it before a target region is safe.
//
// Every ISA provides Vec<float>; only the portable one provides Vec<double> as well.
//
//   Vec<T>::kWidth                 lanes (avx512 16, avx2 8, neon 4, portable 16 bytes' worth)
//   Vec<T>::Mask                   one boolean per lane; m1 & m2, m1 | m2, !m, any(m)
//   Vec<T>::zero(), set1(s)        all lanes 0, all lanes s
//   Vec<T>::load(p), v.store(p)    kWidth elements, any alignment
//   Vec<T>::load_stream(p)         load, for what is read once from L3 or memory
//   Vec<T>::load_n(p, n)           n in [0, kWidth]; lanes >= n are 0; touches p[0, n) only
//   Vec<T>::part(b, e)             a Part: lanes [b, e), 0 <= b, e <= kWidth; none if b >= e
//   Vec<T>::load_part(p, part)     those lanes of p, the others 0; touches those elements only
//   Vec<T>::kCheapParts            whether load_part costs little more than load
//   Vec<T>::window<N>(a, b)        lanes [N, N + kWidth) of a and b side by side, N in [0, kWidth]
//   v.store_n(p, n)                writes p[0, n) only
//   v.first(n)                     lanes >= n set to 0, n in [0, kWidth]
//
//   a + b, a - b, a * b, a / b     IEEE, correctly rounded
//   fma(a, b, c), fnma(a, b, c)    a * b + c, c - a * b; fused where the ISA can (not portable)
//   Vec<T>::kLaneFma               whether the next exists and beats set1 + fma
//   Vec<T>::fma_lane<Lane>(b, a, acc)  acc + b * a[Lane], fused like fma
//   min(a, b)                      a < b ? a : b, hence b when either is NaN
//   max(a, b)                      a > b ? a : b, hence b when either is NaN
//   sqrt(a)                        correctly rounded
//   abs(a), neg(a)                 change the sign bit only, NaN included
//   copysign(a, s)                 magnitude of a with the sign bit of s
//   round(a), floor(a), ceil(a)    to integral values; round to nearest, ties to even
//   gt ge lt le eq (a, b)          false when either is NaN
//   unordered(a, b)                true when either is NaN
//   select(m, a, b)                m ? a : b per lane
//   store_mask(m, uint8_t* p)      kWidth bytes, each 0 or 1
//   store_bytes(a, uint8_t* p, n)  n in [0, kWidth] bytes of lanes that are integers in 0..255
//   equal_bytes<V>(p, code)        Mask of V: whether the kWidth bytes at p are equal to code
//
//   reduce_add(a)                  sum of the lanes in one fixed tree order
//   reduce_max(a), reduce_min(a)   undefined when a lane is NaN
//   deinterleave(a, b, even, odd)  even and odd elements of the 2 * kWidth elements a, b
//   interleave(a, b, lo, hi)       its inverse: a0 b0 a1 b1 ...
//   split(a, b, even, odd)         deinterleave, but lanes in the order that is cheapest
//   to_split(a), from_split(a)     into that order, and out of it
//   split_after(s, a)              in that order: element i - 1 of a in place of i, s for the first
//   split_before(a, s)             in that order: element i + 1 of a, s for the last; s has the
//   same
//                                  element in all lanes
//   transpose(Vec (&rows)[kWidth]) square transpose in registers
//
// float only (building blocks of exp and log in kernels/math.inl):
//   scale_by_pow2(a, n)            a * 2^n, n integral valued with |n| <= 250, a denormal result
//                                  may be rounded twice
//   exponent(a), mantissa(a)       a = mantissa * 2^exponent, mantissa in [1, 2), for normal a > 0
//
// Rules for code over Vec: no standard containers or algorithms, no lambdas, no SIMD constants at
// namespace scope, no vector types in a signature that is visible outside the translation unit.
#ifndef LAMINAE_SIMD_VEC_H_
#define LAMINAE_SIMD_VEC_H_

#if defined(_MSC_VER) && !defined(__clang__)
#define LAMINAE_INLINE __forceinline
#define LAMINAE_NOINLINE __declspec(noinline)
#define LAMINAE_UNROLL
#elif defined(__clang__)
#define LAMINAE_INLINE __attribute__((always_inline)) inline
#define LAMINAE_NOINLINE __attribute__((noinline))
#define LAMINAE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LAMINAE_INLINE __attribute__((always_inline)) inline
#define LAMINAE_NOINLINE __attribute__((noinline))
#define LAMINAE_UNROLL _Pragma("GCC unroll 64")
#endif

// Requests the cache line at p; for the L2 cache alone.
#if defined(_MSC_VER) && !defined(__clang__)
#define LAMINAE_PREFETCH(p)
#define LAMINAE_PREFETCH_L2(p)
#else
#define LAMINAE_PREFETCH(p) __builtin_prefetch(p)
#define LAMINAE_PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
#endif

// Makes the compiler forget where p came from, so that it does not share loads between the steps of
// an unrolled loop: GCC keeps overlapping broadcasts in registers it does not have, and spills.
#if defined(_MSC_VER) && !defined(__clang__)
#define LAMINAE_OPAQUE(p)
#else
#define LAMINAE_OPAQUE(p) __asm__("" : "+r"(p))
#endif

#endif  // LAMINAE_SIMD_VEC_H_
