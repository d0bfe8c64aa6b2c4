// What convolutions that read x from strips share (conv_channels.cc, conv_pixels.cc,
// conv_winograd_pairs.cc).
//
// The lines of x that a block of outputs needs are copied to a strip first: with zeros where taps
// reach outside, and for strides with the positions of each phase (position modulo stride) side by
// side, so that neighbouring outputs read neighbouring elements whatever the shape:
//   strip [channel][phase 0][plane][phase 1][line][phase 2][column]
// Then all rows of the sum are made from it, a tile at a time, while it stays in L2.
//
// Threads: where weights are few, each takes blocks, with a strip of its own. Where they outweigh
// the images (late layers, small batches), all strips are made first and every thread takes some
// tiles of rows. A strip repeats lines of its neighbours, so there are no more than threads need.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

constexpr int64_t kStripElements = 1 << 16;  // of a block, for many channels more: 256 KiB
constexpr int64_t kStageElements = 1 << 20;  // strips made at a time: 4 MiB

constexpr int64_t kPartsOfThread = 2;    // at least, if the images have lines enough
constexpr int64_t kCopyAhead = 1 << 11;  // elements that the copy asks for in advance: 8 KiB

// Whether vectors of pixels leave little of a line of n pixels over: a quarter at the most.
template <class T>
bool fills_vectors(int64_t n) {
  return round_up(n, kernels<T>().vec_width) * 3 <= n * 4;
}

// One dimension of a strip: for a block of up to `grid` outputs from g on, element (phase f, l)
// holds position (g + low + l) stride + phase[f] of x.
struct StripDim {
  int64_t grid, stride, size;  // size: of x
  int64_t phases, low, length;
  int64_t* phase;
};

// What does not change from block to block.
struct StripPlan {
  const TapSum& s;
  int64_t tiles;   // of rows
  bool by_blocks;  // threads take blocks rather than tiles
  StripDim dim[3];
  int64_t blocks[3];      // per image
  int64_t block_count;    // of all images and groups
  int64_t step[3];        // distance of neighbouring outputs in the strip
  int64_t phase_step[3];  // and of phases
  int64_t x_channel;
  const int64_t* offsets;  // of taps in the strip
  int64_t slack;           // elements behind the strip that may be read, their values not used

  int64_t strip_size() const { return s.channels * x_channel + slack; }
};

// Phases and reach of one dimension.
inline StripDim strip_dim(const TapSum& s, int d, Scratch& scratch) {
  const TapDim& t = s.taps[d];
  StripDim r{0, s.stride[d], s.x_size[d], 0, 0, 0, nullptr};
  r.phase = scratch.get<int64_t>(std::min(t.count, s.stride[d]));
  int64_t high = 0;
  for (int64_t j = 0; j < t.count; ++j) {
    const int64_t at = t.offset + j * t.step;
    const int64_t whole = floor_div(at, r.stride);
    r.low = j == 0 ? whole : std::min(r.low, whole);
    high = j == 0 ? whole : std::max(high, whole);
    const int64_t phase = at - whole * r.stride;
    if (std::find(r.phase, r.phase + r.phases, phase) == r.phase + r.phases) {
      r.phase[r.phases++] = phase;
    }
  }
  r.length = high - r.low;  // and one for each output
  return r;
}

// Elements of a channel of the strip when dimension d has blocks of `grid`.
inline int64_t strip_channel(const StripDim (&dim)[3], int d, int64_t grid) {
  int64_t size = 1;
  for (int i = 0; i < 3; ++i) {
    const StripDim& r = dim[i];
    size *= r.phases * (r.length + (i == d ? grid : r.grid));
  }
  return size;
}

// Where the taps of a sum lie in the strip, which reaches all of them.
inline int64_t* strip_offsets(const StripPlan& p, const TapSum& s, Scratch& scratch) {
  int64_t* offsets = scratch.get<int64_t>(s.tap_count());
  std::fill(offsets, offsets + s.tap_count(), int64_t{0});
  for (int64_t tap = 0; tap < s.tap_count(); ++tap) {
    int64_t rest = tap;
    for (int d = 2; d >= 0; --d) {
      const StripDim& r = p.dim[d];
      const int64_t at = s.taps[d].offset + rest % s.taps[d].count * s.taps[d].step;
      rest /= s.taps[d].count;
      const int64_t whole = floor_div(at, r.stride);
      const int64_t f = std::find(r.phase, r.phase + r.phases, at - whole * r.stride) - r.phase;
      offsets[tap] += (whole - r.low) * p.step[d] + f * p.phase_step[d];
    }
  }
  return offsets;
}

// Blocks are cut at multiples of `lines` lines of `unit` outputs; `tiles` of rows are made from
// each.
inline StripPlan strip_plan(const TapSum& s, int64_t tiles, int64_t lines, int64_t unit,
                            int64_t slack, Scratch& scratch) {
  StripPlan p{s, tiles, false, {}, {}, 0, {}, {}, 0, nullptr, slack};
  for (int d = 0; d < 3; ++d) {
    p.dim[d] = strip_dim(s, d, scratch);
    p.dim[d].grid = 1;
  }
  p.by_blocks = 2 * s.n * s.channels * s.x_plane() >= s.rows * s.depth();
  // The last dimension grows first. 256->256 3x3 @14 batch 1 takes 10 % less time in one block than
  // in 14, 128->128 @28 on two threads 7 % less in 4 than in 10.
  const int64_t shares = p.by_blocks ? 1 : tiles;
  const int64_t least = kPartsOfThread * num_threads();
  for (int d = 2; d >= 0; --d) {
    const int64_t step = d == 2 ? unit : d == 1 ? lines : 1;
    const int64_t units = ceil_div(s.grid[d], step);
    const int64_t most =
        d == 1 ? std::max<int64_t>(1, s.n * s.groups * units * shares / least) : units;
    int64_t fit = 1;
    while (fit < std::min(units, most) &&
           s.channels * strip_channel(p.dim, d, (fit + 1) * step) <= kStripElements) {
      ++fit;
    }
    p.dim[d].grid = std::min(s.grid[d], balanced_tile(units, fit) * step);
    p.blocks[d] = (s.grid[d] + p.dim[d].grid - 1) / p.dim[d].grid;
  }
  int64_t size = 1;
  for (int d = 2; d >= 0; --d) {
    p.dim[d].length += p.dim[d].grid;
    p.step[d] = size;
    size *= p.dim[d].length;
    p.phase_step[d] = size;
    size *= p.dim[d].phases;
  }
  // An odd number of cache lines between channels, so that they do not share sets of the cache.
  p.x_channel = (size + 15) / 16 * 16;
  if (p.x_channel % 32 == 0) p.x_channel += 16;
  p.block_count = s.n * s.groups * p.blocks[0] * p.blocks[1] * p.blocks[2];

  p.offsets = strip_offsets(p, s, scratch);
  return p;
}

// Outputs [g, g + count) of one image and group.
struct StripBlock {
  int64_t image, group;
  int64_t g[3], count[3];
};

inline StripBlock block_at(const StripPlan& p, int64_t index) {
  StripBlock b;
  for (int d = 2; d >= 0; --d) {
    b.g[d] = index % p.blocks[d] * p.dim[d].grid;
    b.count[d] = std::min(p.dim[d].grid, p.s.grid[d] - b.g[d]);
    index /= p.blocks[d];
  }
  b.group = index % p.s.groups;
  b.image = index / p.s.groups;
  return b;
}

// Lines of one phase: the first is i1 of x, and [first, last) of them are inside.
struct StripLines {
  int64_t i1, first, last;
};

// Fills channels [begin, end) of the strip of a block.
template <class T>
void fill_strip(const StripPlan& p, const StripBlock& b, int64_t begin, int64_t end, const T* x,
                T* strip) {
  const TapSum& s = p.s;
  const KernelTable<T>& kernel = kernels<T>();
  const StripDim& d0 = p.dim[0];
  const StripDim& d1 = p.dim[1];
  const StripDim& d2 = p.dim[2];
  const int64_t row = d2.phases * d2.length;
  const int64_t lines = d1.length - (d1.grid - b.count[1]);
  const int64_t columns = d2.length - (d2.grid - b.count[2]);
  const int64_t ahead = 1 + kCopyAhead / p.x_channel;
  const T* image = x + (b.image * s.groups + b.group) * s.channels * s.x_plane();
  const int64_t column = (b.g[2] + d2.low) * d2.stride;
  const int64_t left = std::max<int64_t>(0, column);
  const int64_t right = std::min(d2.size, left + columns * d2.stride);
  Scratch scratch;
  StripLines* inside = scratch.get<StripLines>(d1.phases);
  for (int64_t f1 = 0; f1 < d1.phases; ++f1) {
    // Those with 0 <= i1 + l stride < size.
    const int64_t i1 = (b.g[1] + d1.low) * d1.stride + d1.phase[f1];
    const int64_t first = std::clamp<int64_t>(floor_div(-i1 - 1, d1.stride) + 1, 0, lines);
    const int64_t last = std::clamp(floor_div(d1.size - 1 - i1, d1.stride) + 1, first, lines);
    inside[f1] = {i1, first, last};
  }
  for (int64_t f0 = 0; f0 < d0.phases; ++f0) {
    for (int64_t l0 = 0; l0 < b.count[0] + d0.length - d0.grid; ++l0) {
      const int64_t i0 = (b.g[0] + d0.low + l0) * d0.stride + d0.phase[f0];
      const bool outside = i0 < 0 || i0 >= d0.size;
      for (int64_t c = begin; c < end; ++c) {
        for (int64_t f1 = 0; f1 < d1.phases; ++f1) {
          T* to = strip + c * p.x_channel + f0 * p.phase_step[0] + l0 * p.step[0] +
                  f1 * p.phase_step[1];
          const int64_t i1 = inside[f1].i1;
          const int64_t first = outside ? lines : inside[f1].first;
          const int64_t last = outside ? lines : inside[f1].last;
          kernel.fill(first * row, T{0}, to);
          kernel.fill((lines - last) * row, T{0}, to + last * row);
          if (first == last) continue;
          const T* from = image + ((c * d0.size + i0) * d1.size + i1 + first * d1.stride) * d2.size;
          if (c + ahead < s.channels) {
            kernel.prefetch_lanes(last - first, right - left, from + left + ahead * s.x_plane(),
                                  d1.stride * d2.size);
          }
          if (d2.phases == 2 && d2.stride == 2) {
            T* even = to + first * row + (d2.phase[0] == 0 ? 0 : d2.length);
            T* odd = to + first * row + (d2.phase[0] == 0 ? d2.length : 0);
            kernel.split_lines(last - first, columns, from, d1.stride * d2.size, d2.size, column,
                               even, odd, row);
            continue;
          }
          for (int64_t f2 = 0; f2 < d2.phases; ++f2) {
            kernel.copy_lines(last - first, columns, from, d1.stride * d2.size, d2.size,
                              column + d2.phase[f2], d2.stride, to + first * row + f2 * d2.length,
                              row);
          }
        }
      }
    }
  }
}

// Fills the strips of all blocks and calls sum(block, tile, strip), which makes the outputs of a
// tile of rows. Weights of all groups that outweigh the images are read once per stage.
template <class T, class Sum>
void run_strips(const StripPlan& p, const T* x, Sum&& sum) {
  const TapSum& s = p.s;
  const int64_t strip_size = p.strip_size();
  if (p.by_blocks && p.block_count >= num_threads()) {
    parallel_chunks(p.block_count, [&](int64_t index) {
      Scratch own;
      T* strip = own.get<T>(strip_size);
      const StripBlock b = block_at(p, index);
      fill_strip(p, b, 0, s.channels, x, strip);
      for (int64_t tile = 0; tile < p.tiles; ++tile) sum(b, tile, strip);
    });
    return;
  }
  Scratch scratch;
  const int64_t stage = std::min(p.block_count, std::max<int64_t>(1, kStageElements / strip_size));
  T* strips = scratch.get<T>(stage * strip_size);
  for (int64_t first = 0; first < p.block_count; first += stage) {
    const int64_t count = std::min(stage, p.block_count - first);
    parallel_for(count * s.channels, std::max<int64_t>(1, (1 << 16) / p.x_channel),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end;) {
                     const int64_t c = i % s.channels;
                     const int64_t c_end = std::min(s.channels, c + end - i);
                     const int64_t block = i / s.channels;
                     fill_strip(p, block_at(p, first + block), c, c_end, x,
                                strips + block * strip_size);
                     i += c_end - c;
                   }
                 });
    // The last tile may have few rows: shares would be uneven.
    const int64_t work = s.grid_plane() * s.n / p.block_count * s.depth() * s.rows / p.tiles;
    const int64_t grain = conv_grain(work);
    parallel_chunks(ceil_div(p.tiles * count, grain), [&](int64_t index) {
      const int64_t end = std::min(p.tiles * count, (index + 1) * grain);
      for (int64_t i = index * grain; i < end; ++i) {
        const int64_t block = i % count;
        sum(block_at(p, first + block), i / count, strips + block * strip_size);
      }
    });
  }
}

}  // namespace laminae
