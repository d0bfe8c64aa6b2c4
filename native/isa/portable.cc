// Kernels for any CPU (SSE2 on x86-64, NEON on AArch64: the compiler's baseline).
// The order of includes matters: see simd/region_begin.h.

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/kernels.h"
#include "simd/vec.h"

#define LAMINAE_REGION_BASELINE
#include "simd/region_begin.h"

namespace laminae {
namespace {

#include "simd/vec_portable.h"

// 4x8 floats: 8 accumulators of 4 lanes, 2 columns of b and a broadcast in 16 registers.
template <class T>
struct GemmTile {
  static constexpr int kMr = 4;
  static constexpr int kNr = 2 * Vec<T>::kWidth;
};

#include "kernels/all.inl"
#include "kernels/math_double.inl"

constexpr KernelTable<float> kFloatKernels = make_table<float>();
constexpr KernelTable<double> kDoubleKernels = make_table<double>();

}  // namespace
}  // namespace laminae

#include "simd/region_end.h"

namespace laminae {

const KernelTable<float>& portable_float_kernels() { return kFloatKernels; }

const KernelTable<double>& portable_double_kernels() { return kDoubleKernels; }

}  // namespace laminae
