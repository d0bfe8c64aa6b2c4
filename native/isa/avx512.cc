// Kernels for AVX-512 F, BW, DQ, VL.
// The order of includes matters: see simd/region_begin.h.

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// GCC's own AVX-512 header starts results from an undefined register and warns about it when
// inlined.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <immintrin.h>

#include "core/kernels.h"
#include "simd/vec.h"

#define LAMINAE_REGION_AVX512
#include "simd/region_begin.h"

namespace laminae {
namespace {

#include "simd/vec_avx512.h"

// 14x32: 28 accumulators, 2 vectors of b, 1 broadcast in 32 registers; 0.57 loads per FMA. Widths
// of common images are multiples of 14 or 7.
template <class T>
struct GemmTile {
  static constexpr int kMr = 14;
  static constexpr int kNr = 32;
};

#include "kernels/all.inl"

constexpr KernelTable<float> kFloatKernels = make_table<float>();

}  // namespace
}  // namespace laminae

#include "simd/region_end.h"

namespace laminae {

const KernelTable<float>& avx512_float_kernels() { return kFloatKernels; }

}  // namespace laminae
