// Opens a compiler target region: every function defined until region_end.h is compiled for one
// instruction set, whatever the flags of the translation unit say. So the build files carry no
// flags per source file.
//
// Before including this file define exactly one of LAMINAE_REGION_AVX512, LAMINAE_REGION_AVX2,
// LAMINAE_REGION_BASELINE, and include every standard and intrinsic header: a standard header first
// included inside the region would compile its inline functions for this instruction set, and the
// linker may then hand them to the rest of the program. (No include guard, on purpose.)
//
// MSVC accepts intrinsics without flags: nothing to open there.

#if defined(__clang__)
#if defined(LAMINAE_REGION_AVX512)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi,bmi2"))), \
    apply_to = function)
#elif defined(LAMINAE_REGION_AVX2)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#endif
#elif defined(__GNUC__)
#if defined(LAMINAE_REGION_AVX512)
#pragma GCC push_options
#pragma GCC target( \
    "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi,bmi2,prefer-vector-width=512")
#elif defined(LAMINAE_REGION_AVX2)
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#endif
#endif
