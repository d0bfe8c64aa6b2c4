// A TapSum with output channels in lanes (kernels/conv_channels.inl).
//
// The lines of x that a block of outputs needs are copied to a strip first: with zeros where taps
// reach outside, and for strides with the positions of each phase (position modulo stride) side by
// side, so that neighbouring outputs read neighbouring elements whatever the shape:
//   strip [channel][phase 0][plane][phase 1][line][phase 2][column]
// Then tile after tile of pixels is multiplied with all channels. Weights pass through L1 once per
// tile and the strip stays in L2.
//
// Threads: where weights are few, each takes blocks, with a strip of its own. Where they outweigh
// the images (late layers, small batches), all strips are made first and every thread takes some
// tiles of output channels.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kStripElements = 1 << 16;  // of a block, for many channels more: 256 KiB
constexpr int64_t kStageElements = 1 << 20;  // strips made at a time: 4 MiB

constexpr int64_t kCopyAhead = 1 << 11;  // elements that the copy asks for in advance: 8 KiB

int64_t floor_div(int64_t a, int64_t b) { return (a - (a % b + b) % b) / b; }

// One dimension of a strip: for a block of up to `grid` outputs from g on, element (phase f, l)
// holds position (g + low + l) stride + phase[f] of x.
struct StripDim {
  int64_t grid, stride, size;  // size: of x
  int64_t phases, low, length;
  int64_t* phase;
};

// What does not change from block to block.
struct ChannelsPlan {
  const TapSum& s;
  StripDim dim[3];
  int64_t blocks[3];      // per image
  int64_t block_count;    // of all images and groups
  int64_t step[3];        // distance of neighbouring outputs in the strip
  int64_t phase_step[3];  // and of phases
  int64_t x_channel;
  int64_t* offsets;  // of taps in the strip
  int64_t nr, tiles;

  int64_t strip_size() const { return s.channels * x_channel; }
};

// Phases and reach of one dimension.
StripDim strip_dim(const TapSum& s, int d, Scratch& scratch) {
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
int64_t strip_channel(const StripDim (&dim)[3], int d, int64_t grid) {
  int64_t size = 1;
  for (int i = 0; i < 3; ++i) {
    const StripDim& r = dim[i];
    size *= r.phases * (r.length + (i == d ? grid : r.grid));
  }
  return size;
}

template <class T>
ChannelsPlan make_plan(const TapSum& s, Scratch& scratch) {
  const KernelTable<T>& kernel = kernels<T>();
  ChannelsPlan p{s, {}, {}, 0, {}, {}, 0, nullptr, kernel.gemm_nr, 0};
  p.tiles = (s.rows + p.nr - 1) / p.nr;
  for (int d = 0; d < 3; ++d) {
    p.dim[d] = strip_dim(s, d, scratch);
    p.dim[d].grid = 1;
  }
  // The last dimension grows first, in tiles of pixels.
  for (int d = 2; d >= 0; --d) {
    const int64_t unit = d == 2 ? balanced_tile(s.grid[2], kernel.gemm_mr) : 1;
    const int64_t units = (s.grid[d] + unit - 1) / unit;
    int64_t fit = 1;
    while (fit < units &&
           s.channels * strip_channel(p.dim, d, (fit + 1) * unit) <= kStripElements) {
      ++fit;
    }
    p.dim[d].grid = std::min(s.grid[d], balanced_tile(units, fit) * unit);
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

  p.offsets = scratch.get<int64_t>(s.tap_count());
  std::fill(p.offsets, p.offsets + s.tap_count(), int64_t{0});
  for (int64_t tap = 0; tap < s.tap_count(); ++tap) {
    int64_t rest = tap;
    for (int d = 2; d >= 0; --d) {
      const StripDim& r = p.dim[d];
      const int64_t at = s.taps[d].offset + rest % s.taps[d].count * s.taps[d].step;
      rest /= s.taps[d].count;
      const int64_t whole = floor_div(at, r.stride);
      const int64_t f = std::find(r.phase, r.phase + r.phases, at - whole * r.stride) - r.phase;
      p.offsets[tap] += (whole - r.low) * p.step[d] + f * p.phase_step[d];
    }
  }
  return p;
}

// Outputs [g, g + count) of one image and group.
struct Block {
  int64_t image, group;
  int64_t g[3], count[3];
};

Block block_at(const ChannelsPlan& p, int64_t index) {
  Block b;
  for (int d = 2; d >= 0; --d) {
    b.g[d] = index % p.blocks[d] * p.dim[d].grid;
    b.count[d] = std::min(p.dim[d].grid, p.s.grid[d] - b.g[d]);
    index /= p.blocks[d];
  }
  b.group = index % p.s.groups;
  b.image = index / p.s.groups;
  return b;
}

// Fills channels [begin, end) of the strip of a block.
template <class T>
void fill_strip(const ChannelsPlan& p, const Block& b, int64_t begin, int64_t end, const T* x,
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
  const int64_t channel = (b.image * s.groups + b.group) * s.channels;
  for (int64_t c = begin; c < end; ++c) {
    for (int64_t f0 = 0; f0 < d0.phases; ++f0) {
      for (int64_t l0 = 0; l0 < b.count[0] + d0.length - d0.grid; ++l0) {
        const int64_t i0 = (b.g[0] + d0.low + l0) * d0.stride + d0.phase[f0];
        for (int64_t f1 = 0; f1 < d1.phases; ++f1) {
          T* to = strip + c * p.x_channel + f0 * p.phase_step[0] + l0 * p.step[0] +
                  f1 * p.phase_step[1];
          // Lines [first, last) are inside x: those with 0 <= i1 + l stride < size.
          const int64_t i1 = (b.g[1] + d1.low) * d1.stride + d1.phase[f1];
          int64_t first = std::min(lines, std::max<int64_t>(0, floor_div(-i1 - 1, d1.stride) + 1));
          int64_t last =
              std::max(first, std::min(lines, floor_div(d1.size - 1 - i1, d1.stride) + 1));
          if (i0 < 0 || i0 >= d0.size) first = last = lines;
          kernel.fill(first * row, T{0}, to);
          kernel.fill((lines - last) * row, T{0}, to + last * row);
          if (first == last) continue;
          const T* from =
              x + (((channel + c) * d0.size + i0) * d1.size + i1 + first * d1.stride) * d2.size;
          if (c + ahead < s.channels) {
            const int64_t left = std::max<int64_t>(0, (b.g[2] + d2.low) * d2.stride);
            const int64_t right = std::min(d2.size, left + columns * d2.stride);
            kernel.prefetch_lanes(last - first, right - left,
                                  from + left + ahead * d0.size * d1.size * d2.size,
                                  d1.stride * d2.size);
          }
          const int64_t column = (b.g[2] + d2.low) * d2.stride;
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

// One tile of output channels of a block.
template <class T>
void sum_block(const ChannelsPlan& p, const Block& b, int64_t tile, const T* strip,
               const T* weights, const T* bias, T* y) {
  const TapSum& s = p.s;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t row = tile * p.nr;
  const int64_t rows = std::min(p.nr, s.rows - row);
  const int64_t first_row = b.group * s.rows + row;
  const T* w = weights + (b.group * p.tiles + tile) * p.nr * s.depth();
  const T* own_bias = bias == nullptr ? nullptr : bias + first_row;
  const ChannelsWindow window{s.channels, p.x_channel, s.tap_count(), p.offsets, p.step[1]};
  const int64_t plane = s.grid_plane();
  T* to = y + (b.image * s.groups * s.rows + first_row) * plane;
  // Two lines at a time where they fit into one tile.
  const int64_t vectors = (rows + kernel.vec_width - 1) / kernel.vec_width;
  const int64_t most = kernel.gemm_mr * (kernel.gemm_nr / kernel.vec_width) / vectors;
  const int64_t pixels = balanced_tile(b.count[2], kernel.gemm_mr);
  for (int64_t o0 = 0; o0 < b.count[0]; ++o0) {
    for (int64_t o1 = 0; o1 < b.count[1];) {
      const int64_t lines = 2 * pixels <= most && o1 + 2 <= b.count[1] ? 2 : 1;
      const T* from = strip + o0 * p.step[0] + o1 * p.step[1];
      T* line = to + ((b.g[0] + o0) * s.grid[1] + b.g[1] + o1) * s.grid[2] + b.g[2];
      for (int64_t o2 = 0; o2 < b.count[2]; o2 += pixels) {
        const int64_t count = std::min(pixels, b.count[2] - o2);
        // The lines of y where the next tile will begin: it comes after thousands of cycles.
        kernel.prefetch_lanes(rows, 1, line + o2 + lines * count, plane);
        // Everything up to the end of the block is still to be written, if it has whole lines.
        const int64_t lines_left = b.count[2] == s.grid[2] ? b.count[1] - o1 - lines : 0;
        kernel.conv_channels(lines, count, rows, window, from + o2, w, own_bias, line + o2, plane,
                             s.grid[2], b.count[2] - o2 + lines_left * s.grid[2]);
      }
      o1 += lines;
    }
  }
}

template <class T>
bool applies(const TapSum& s) {
  const bool strided = s.stride[0] > 1 || s.stride[1] > 1 || s.stride[2] > 1;
  if (s.tap_count() == 1 && !strided) return false;  // the matrix product it is suits gemm better
  // Most lanes hold a channel, and there are enough sums at a time to hide the latency of one.
  const int64_t width = kernels<T>().vec_width;
  const int64_t lanes = (s.rows + width - 1) / width * width;
  return 4 * s.rows >= 3 * lanes && s.grid[2] * (s.grid[1] > 1 ? 2 : 1) >= 8;
}

template <class T>
int64_t packed_size(const TapSum& s) {
  return tap_weights_size(s, kernels<T>().gemm_nr);
}

template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  pack_tap_weights(s, w, kernels<T>().gemm_nr, packed);
}

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  Scratch scratch;
  const ChannelsPlan p = make_plan<T>(s, scratch);
  const int64_t strip_size = p.strip_size();
  const bool by_blocks =
      p.block_count >= num_threads() && p.block_count * strip_size >= s.groups * s.rows * s.depth();
  if (by_blocks) {
    parallel_chunks(p.block_count, [&](int64_t index) {
      Scratch own;
      T* strip = own.get<T>(strip_size);
      const Block b = block_at(p, index);
      fill_strip(p, b, 0, s.channels, x, strip);
      for (int64_t tile = 0; tile < p.tiles; ++tile) {
        sum_block(p, b, tile, strip, weights, bias, y);
      }
    });
    return;
  }
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
    const int64_t work = s.grid_plane() * s.n / p.block_count * s.depth() * p.nr;
    parallel_for(p.tiles * count, std::max<int64_t>(1, kConvGrain / std::max<int64_t>(1, work)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t block = i % count;
                     sum_block(p, block_at(p, first + block), i / count,
                               strips + block * strip_size, weights, bias, y);
                   }
                 });
  }
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_channels() {
  return {"channels", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_channels();
template TapSumAlgorithm<double> tap_sum_channels();

}  // namespace laminae
