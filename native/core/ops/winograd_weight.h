// Weight gradients by Winograd's algorithms: what they share (conv_winograd_weight.cc,
// conv_winograd_strided_weight.cc).
#pragma once
#include <cstdint>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

// The gradient of the bias: sums over images in order of sums over planes.
template <class T>
void bias_gradient(const ConvShape& s, const T* dy, T* db) {
  const int64_t grain = row_grain(s.n * (s.out_plane() + 32));  // a call takes as long as 32
  parallel_for(s.c_out, grain, [&](int64_t begin, int64_t end) {
    for (int64_t oc = begin; oc < end; ++oc) {
      double sum = 0;
      for (int64_t i = 0; i < s.n; ++i)
        sum += kernels<T>().sum(s.out_plane(), dy + (i * s.c_out + oc) * s.out_plane());
      db[oc] = static_cast<T>(sum);
    }
  });
}

// The sums over all rows of tiles, in `blocks` blocks of them: `items` sums of `size` elements.
// add(first, last, accumulate, m) makes those of a block, into or onto m; finish(item, sum) makes
// weights of a sum. Blocks are cut into `chunks` chunks with sums of their own, which threads share
// out, added up in order. Gaps in the sums are added too: nobody reads them.
template <class T, class Add, class Finish>
void sum_blocks(int64_t rows, int64_t blocks, int64_t chunks, int64_t items, int64_t size,
                Add&& add, Finish&& finish) {
  Scratch scratch;
  T* m = scratch.get<T>(chunks * items * size);
  const auto add_chunk = [&](int64_t chunk) {
    const int64_t begin = blocks * chunk / chunks;
    const int64_t end = blocks * (chunk + 1) / chunks;
    for (int64_t b = begin; b < end; ++b) {
      add(b * rows / blocks, (b + 1) * rows / blocks, b > begin, m + chunk * items * size);
    }
  };
  if (chunks > 1) {
    parallel_chunks(chunks, add_chunk);
  } else {
    add_chunk(0);
  }
  parallel_for(items, row_grain(chunks * size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* sum = m + i * size;
      for (int64_t chunk = 1; chunk < chunks; ++chunk)
        kernels<T>().scale_add(size, T{1}, sum + chunk * items * size, T{1}, sum);
      finish(i, sum);
    }
  });
}

// The gradients of weight and bias by Gradient(s, x, dy, dw).run(), one for each group.
template <class Gradient, class T>
void run_weight_gradient(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  if (db != nullptr) bias_gradient(s, dy, db);
  if (dw == nullptr) return;
  for (int64_t g = 0; g < s.groups; ++g) {
    Gradient(s, x + g * s.channels_in() * s.in_plane(), dy + g * s.channels_out() * s.out_plane(),
             dw + g * s.channels_out() * s.channels_in() * s.kernel_size())
        .run();
  }
}

}  // namespace laminae
