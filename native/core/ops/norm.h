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
#include <utility>

#include "core/integer.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

// Elements whose sums run in lanes of T: short enough for float32, and the block stays in L1
// between passes.
constexpr int64_t kNormBlock = 4096;
// A tensor of more than kNormCached elements comes from L3 or memory, which want to be walked in
// order: so many channels together that in each image they are a run of kNormTogether elements (256
// KiB of floats), in blocks that read at most kNormStreams runs side by side. Forward and backward
// of 8 images of 64 channels of 56 x 56 take 0.89 ms so, channel by channel 1.3; of 64 images of 64
// channels of 28 x 28, 2.5 and 4.4 (one thread of a Zen 4 core).
constexpr int64_t kNormCached = 1024 * 1024;
constexpr int64_t kNormTogether = 64 * 1024;
constexpr int64_t kNormStreams = 4;
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

// One block of a channel: `rows` runs of `length` elements, step() apart.
struct NormBlock {
  int64_t at, rows, length;
};

// How x [n, c, s] is cut, where `arrays` of its size are read.
struct NormLayout {
  int64_t n, c, s;
  int64_t rows;    // of a block
  int64_t length;  // of a block's runs
  int64_t pieces;  // blocks that lie side by side in a channel of one image
  int64_t blocks;  // of each channel

  NormLayout(int64_t n_in, int64_t c_in, int64_t s_in, int64_t arrays) : n(n_in), c(c_in), s(s_in) {
    const int64_t least = ceil_div(s, kNormBlock);
    length = least <= 1 ? s : round_up(ceil_div(s, least), 64);
    pieces = s == 0 ? 0 : ceil_div(s, length);
    const int64_t most_rows = is_large() ? kNormStreams / arrays : kNormBlock;
    rows = pieces == 1 ? std::min(std::max<int64_t>(1, kNormBlock / s), most_rows) : 1;
    blocks = ceil_div(n, rows) * pieces;
  }

  int64_t step() const { return c * s; }
  bool is_large() const { return n * c * s > kNormCached; }

  NormBlock block(int64_t channel, int64_t b) const {
    const int64_t row = b / pieces * rows;
    const int64_t start = b % pieces * length;
    return {(row * c + channel) * s + start, std::min(rows, n - row), std::min(length, s - start)};
  }

  // Channel and number there of block i of all blocks, as they lie in memory.
  std::pair<int64_t, int64_t> in_memory(int64_t i) const {
    return {i / pieces % c, i / pieces / c * pieces + i % pieces};
  }

  // Channels that are walked together.
  int64_t channels_together() const {
    return n == 1 || !is_large() ? 1 : ceil_div(kNormTogether, s);
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

// Zeros, in scratch memory. Total consists of numbers in double.
template <class Total>
Total* scratch_array(Scratch& scratch, int64_t count) {
  constexpr auto kDoubles = static_cast<int64_t>(sizeof(Total) / sizeof(double));
  Total* array = reinterpret_cast<Total*>(scratch.get<double>(count * kDoubles));
  for (int64_t i = 0; i < count; ++i) new (array + i) Total();
  return array;
}

// fn(channel, block) for all blocks of channels [first, last).
template <class Fn>
void in_memory_order(const NormLayout& l, int64_t first, int64_t last, Fn&& fn) {
  for (int64_t b = 0; b < l.blocks; b += l.pieces) {
    for (int64_t j = first; j < last; ++j) {
      for (int64_t k = 0; k < l.pieces; ++k) fn(j, l.block(j, b + k));
    }
  }
}

// For every channel: total = sum over its blocks of reduce(channel, block); finish(channel, total);
// then apply(channel, block) for every block. One channel after the other, or some together, while
// their elements are in the cache, if there are enough channels for all threads; else all blocks
// are shared among the threads, twice. The totals are the same bits.
template <class Total, class Reduce, class Finish, class Apply>
void over_channels(const NormLayout& l, Reduce&& reduce, Finish&& finish, Apply&& apply) {
  const int64_t threads = num_threads();
  const int64_t per_thread = ceil_div(l.c, threads);
  if (per_thread * threads * 4 <= l.c * 5) {
    const int64_t elements = std::max<int64_t>(1, l.n * l.s);
    parallel_for(l.c, ceil_div(kNormGrain, elements), [&](int64_t begin, int64_t end) {
      Scratch scratch;
      const int64_t together = std::min(l.channels_together(), end - begin);
      Total* totals = scratch_array<Total>(scratch, together);
      for (int64_t first = begin; first < end; first += together) {
        const int64_t last = std::min(first + together, end);
        for (int64_t j = first; j < last; ++j) totals[j - first] = Total();
        in_memory_order(l, first, last, [&](int64_t j, const NormBlock& block) {
          totals[j - first].add(reduce(j, block));
        });
        for (int64_t j = first; j < last; ++j) finish(j, totals[j - first]);
        in_memory_order(l, first, last, apply);
      }
    });
    return;
  }
  Scratch scratch;
  const int64_t items = l.c * l.blocks;
  Total* parts = scratch_array<Total>(scratch, items);
  const int64_t elements = std::max<int64_t>(1, l.n * l.s / std::max<int64_t>(1, l.blocks));
  const int64_t grain = ceil_div(kNormGrain, elements);
  parallel_for(items, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto [channel, b] = l.in_memory(i);
      parts[channel * l.blocks + b] = reduce(channel, l.block(channel, b));
    }
  });
  for (int64_t channel = 0; channel < l.c; ++channel) {
    Total total;
    for (int64_t b = 0; b < l.blocks; ++b) total.add(parts[channel * l.blocks + b]);
    finish(channel, total);
  }
  parallel_for(items, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto [channel, b] = l.in_memory(i);
      apply(channel, l.block(channel, b));
    }
  });
}

}  // namespace laminae
