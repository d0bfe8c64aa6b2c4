// Kernels for AVX2 with FMA.
// The order of includes matters: see simd/region_begin.h.

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <immintrin.h>

#include "core/kernels.h"
#include "simd/vec.h"

#define LAMINAE_REGION_AVX2
#include "simd/region_begin.h"

namespace laminae {
namespace {

#include "simd/vec_avx2.h"

// 6x16: 12 accumulators, 2 vectors of b, 1 broadcast in 16 registers; 0.67 loads per FMA.
template <class T>
struct GemmTile {
  static constexpr int kMr = 6;
  static constexpr int kNr = 16;
};

#include "kernels/all.inl"

constexpr KernelTable<float> kFloatKernels = make_table<float>();

}  // namespace
}  // namespace laminae

#include "simd/region_end.h"

namespace laminae {

const KernelTable<float>& avx2_float_kernels() { return kFloatKernels; }

}  // namespace laminae
