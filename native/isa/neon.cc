// Kernels for AArch64 NEON.
// The order of includes matters: see simd/region_begin.h.

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <arm_neon.h>

#include "core/kernels.h"
#include "simd/vec.h"

#define LAMINAE_REGION_BASELINE
#include "simd/region_begin.h"

namespace laminae {
namespace {

#include "simd/vec_neon.h"

// 8x12: 24 accumulators, 3 vectors of b, 2 of a (multiplied by lane) in 32 registers.
template <class T>
struct GemmTile {
  static constexpr int kMr = 8;
  static constexpr int kNr = 12;
};

#include "kernels/all.inl"

constexpr KernelTable<float> kFloatKernels = make_table<float>();

}  // namespace
}  // namespace laminae

#include "simd/region_end.h"

namespace laminae {

const KernelTable<float>& neon_float_kernels() { return kFloatKernels; }

}  // namespace laminae
