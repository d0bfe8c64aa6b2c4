// Closes the target region opened by region_begin.h. (No include guard, on purpose.)

#if defined(LAMINAE_REGION_AVX512) || defined(LAMINAE_REGION_AVX2)
#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
#endif
