// Weights of a TapSum as matrix products and sums with images or pixels in lanes read them: in
// tiles of rows (conv_pack.cc).
#pragma once
#include <cstdint>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/kernels.h"

namespace laminae {

// In tiles of at most `kRows` rows, a constant of the kernels, all alike.
template <class T, int KernelTable<T>::*kRows>
struct TapWeights {
  static int64_t tile(const TapSum& s) { return balanced_tile(s.rows, kernels<T>().*kRows); }
  static int64_t size(const TapSum& s) { return tap_weights_size(s, tile(s)); }
  static void pack(const TapSum& s, const T* w, T* packed) {
    pack_tap_weights(s, w, tile(s), packed);
  }
};

}  // namespace laminae
