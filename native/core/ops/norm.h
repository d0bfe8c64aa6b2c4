// What the normalisations share: moments that merge, and the schedule of "reduce, then apply" over
// channels.
//
// x is [n, c, s]: element (i, j, k) of channel j at (i c + j) s + k. A channel is cut into blocks,
// by its shape alone; blocks are reduced with short sums in lanes and their results are added in
// double, in the order of the blocks. So the number of threads does not show in the bits.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>

#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

// Elements whose sums run in lanes of T: short enough for float32, and the block stays in L1
// between passes.
constexpr int64_t kNormBlock = 4096;
// Elements that are worth a thread.
constexpr int64_t kNormGrain = 16 * 1024;

// Number, mean and sum of squared distances from the mean of some values.
struct Moments {
  double count = 0, mean = 0, m2 = 0;

  // Chan's formula for the union of two sets.
  void add(const Moments& o) {
    if (o.count == 0) return;
    const double total = count + o.count;
    const double delta = o.mean - mean;
    mean = count == 0 ? o.mean : mean + delta * (o.count / total);
    m2 += o.m2 + (count == 0 ? 0 : delta * delta * (count * (o.count / total)));
    count = total;
  }

  // From sums of (x - pivot) and (x - pivot)^2. NaN stays NaN.
  static Moments shifted(double count, double pivot, double sum, double sum_of_squares) {
    const double m2 = sum_of_squares - sum * (sum / count);
    return {count, pivot + sum / count, m2 < 0 ? 0 : m2};
  }

  double variance() const { return m2 / count; }
};

// Sums of dy and of dy (x - shift).
struct GradientSums {
  double dy = 0, dy_x = 0;
  void add(const GradientSums& o) {
    dy += o.dy;
    dy_x += o.dy_x;
  }
};

// y = (x - mean) a + b, or dx = a dy + b (x - mean) + c. `mean` is the mean as T; what T cannot
// hold of it is in the constant term.
template <class T>
struct NormTerms {
  T mean, a, b, c;
};

// One block of a channel: `rows` runs of `length` elements, n_step() apart.
struct NormBlock {
  int64_t at, rows, length;
};

struct NormLayout {
  int64_t n, c, s;
  int64_t blocks;          // of each channel
  int64_t rows_per_block;  // 0: a block is part of one run
  int64_t chunk;

  NormLayout(int64_t n_in, int64_t c_in, int64_t s_in) : n(n_in), c(c_in), s(s_in) {
    rows_per_block =
        s < kNormBlock ? std::max<int64_t>(1, kNormBlock / std::max<int64_t>(1, s)) : 0;
    const int64_t chunks = (s + kNormBlock - 1) / kNormBlock;
    chunk = rows_per_block > 0 ? s : ((s + chunks - 1) / chunks + 63) / 64 * 64;
    blocks = rows_per_block > 0 ? (n + rows_per_block - 1) / rows_per_block
                                : n * ((s + chunk - 1) / chunk);
  }

  int64_t step() const { return c * s; }

  NormBlock block(int64_t channel, int64_t b) const {
    if (rows_per_block > 0) {
      const int64_t first = b * rows_per_block;
      return {(first * c + channel) * s, std::min(rows_per_block, n - first), s};
    }
    const int64_t chunks = (s + chunk - 1) / chunk;
    const int64_t start = b % chunks * chunk;
    return {(b / chunks * c + channel) * s + start, 1, std::min(chunk, s - start)};
  }
};

// Median of five.
template <class T>
T median(T a, T b, T c, T d, T e) {
  const T low = std::max(std::min(a, b), std::min(c, d));   // neither is the smallest of four,
  const T high = std::min(std::max(a, b), std::max(c, d));  // nor the largest
  return std::max(std::min(low, high), std::min(std::max(low, high), e));
}

// A number inside the bulk of a block, to shift by: the median of five elements spread over it. An
// outlier cannot become it, and it is exact if all are equal, so that a constant channel has
// variance 0.
template <class T>
T typical_value(const T* x, const NormBlock& b, int64_t step) {
  const int64_t last = b.rows * b.length - 1;
  T v[5];
  for (int64_t k = 0; k < 5; ++k) {
    const int64_t i = last * k / 4;
    v[k] = x[i / b.length * step + i % b.length];
  }
  return median(v[0], v[1], v[2], v[3], v[4]);
}

template <class T>
Moments block_moments(const T* x, const NormBlock& b, int64_t step) {
  const T pivot = typical_value(x + b.at, b, step);
  double sums[2];
  kernels<T>().shifted_sums(b.rows, b.length, step, x + b.at, pivot, sums);
  return Moments::shifted(static_cast<double>(b.rows * b.length), static_cast<double>(pivot),
                          sums[0], sums[1]);
}

// For every channel: total = sum over its blocks of reduce(channel, block); finish(channel, total);
// then apply(channel, block) for every block. Channel by channel, while its elements are in the
// cache, if there are enough channels for all threads; else all blocks are shared among the
// threads, twice. The totals are the same bits.
template <class Total, class Reduce, class Finish, class Apply>
void over_channels(const NormLayout& l, Reduce&& reduce, Finish&& finish, Apply&& apply) {
  const int64_t threads = num_threads();
  const int64_t per_thread = (l.c + threads - 1) / threads;
  if (per_thread * threads * 4 <= l.c * 5) {
    const int64_t elements = std::max<int64_t>(1, l.n * l.s);
    parallel_for(l.c, (kNormGrain + elements - 1) / elements, [&](int64_t begin, int64_t end) {
      for (int64_t channel = begin; channel < end; ++channel) {
        Total total;
        for (int64_t b = 0; b < l.blocks; ++b) total.add(reduce(channel, l.block(channel, b)));
        finish(channel, total);
        for (int64_t b = 0; b < l.blocks; ++b) apply(channel, l.block(channel, b));
      }
    });
    return;
  }
  Scratch scratch;
  const int64_t items = l.c * l.blocks;
  double* storage =
      scratch.get<double>(items * static_cast<int64_t>(sizeof(Total) / sizeof(double)));
  Total* parts = reinterpret_cast<Total*>(storage);
  const int64_t elements = std::max<int64_t>(1, l.n * l.s / std::max<int64_t>(1, l.blocks));
  const int64_t grain = (kNormGrain + elements - 1) / elements;
  parallel_for(items, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      new (parts + i) Total(reduce(i / l.blocks, l.block(i / l.blocks, i % l.blocks)));
  });
  for (int64_t channel = 0; channel < l.c; ++channel) {
    Total total;
    for (int64_t b = 0; b < l.blocks; ++b) total.add(parts[channel * l.blocks + b]);
    finish(channel, total);
  }
  parallel_for(items, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) apply(i / l.blocks, l.block(i / l.blocks, i % l.blocks));
  });
}

}  // namespace laminae
