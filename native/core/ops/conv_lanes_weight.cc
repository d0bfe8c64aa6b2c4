// Weight gradient with images in lanes, for few output channels and many images.
//
// As in conv_lanes.cc a group of vec_width images is transposed, x with zeros beside its lines, dy
// a few lines at a time. The gradient of a weight is then one vector of partial sums, a lane per
// image, that lives in registers while a tile runs over the lines. The lanes are added at the end.
//
// Threads: groups of images are cut into kChunks parts, each with sums of its own, added in order.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/ops/conv_lanes.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kChunks = 8;
constexpr int64_t kStripElements = 1 << 17;     // 512 KiB of floats
constexpr int64_t kGradientElements = 6 << 10;  // dy of some lines: 24 KiB, stays in L1
constexpr int64_t kSumElements = 1 << 16;       // partial sums of a chunk

// Columns [low, high) of a line of x that taps read, the line itself included.
struct Strip {
  int64_t low, high, width;
  explicit Strip(const ConvShape& s, int64_t width_)
      : low(-s.padding[2]),
        high(std::max(s.in[2], (s.out[2] - 1) * s.stride[2] + (s.kernel[2] - 1) * s.dilation[2] -
                                   s.padding[2] + 1)),
        width(width_) {}
  int64_t line() const { return (high - low) * width; }
  int64_t size(const ConvShape& s) const { return s.channels_in() * s.in[0] * s.in[1] * line(); }
};

// Registers: rows * taps vectors of sums. `lines` lines of dy for these rows stay in L1 while all
// kernel lines are run over them.
struct Tile {
  int64_t rows, taps, lines;

  template <class T>
  Tile(const ConvShape& s, const KernelTable<T>& kernel) {
    taps = balanced_tile(s.kernel[2], kernel.lanes_weight_taps);
    rows = balanced_tile(s.channels_out(), kernel.conv_lanes_weight_rows(taps));
    lines = kGradientElements / (rows * s.out[2] * kernel.vec_width);
    const int64_t unit = lines_together(s.tiles);
    lines = std::min(s.out[1], unit * std::max<int64_t>(1, lines / unit));
  }
};

// Outputs o in [first, last) of one dimension that read inside x with kernel element k.
void clip(const ConvShape& s, int d, int64_t k, int64_t& first, int64_t& last) {
  const int64_t shift = k * s.dilation[d] - s.padding[d];
  while (first < last && first * s.stride[d] + shift < 0) ++first;
  while (first < last && (last - 1) * s.stride[d] + shift >= s.in[d]) --last;
}

template <class T>
void fill_strip(const ConvShape& s, const Strip& p, const LanesSource<T>& x, T* strip) {
  const int64_t lines = s.channels_in() * s.in[0] * s.in[1];
  const int64_t before = -p.low * p.width;
  const int64_t middle = s.in[2] * p.width;
  for (int64_t i = 0; i < lines; ++i, strip += p.line()) {
    std::fill(strip, strip + before, T{0});
    const T* from = x.read(i * s.in[2], s.in[2], strip + before);
    if (s.in_lanes) std::copy(from, from + middle, strip + before);
    std::fill(strip + before + middle, strip + p.line(), T{0});
  }
}

// sums [channels_out][depth] of vectors += lines [first, last) of plane o0; dy
// [channels_out][dy_row] with the vectors of these lines.
template <class T>
void add_lines(const ConvShape& s, const Strip& p, const Tile& tile, const T* strip, int64_t o0,
               int64_t first, int64_t last, const T* dy, int64_t dy_row, T* sums) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t depth = s.channels_in() * s.kernel_size();
  for (int64_t row = 0; row < s.channels_out(); row += tile.rows) {
    const int64_t rows = std::min(tile.rows, s.channels_out() - row);
    for (int64_t c = 0; c < s.channels_in(); ++c) {
      for (int64_t k0 = 0; k0 < s.kernel[0]; ++k0) {
        const int64_t i0 = o0 * s.stride[0] + k0 * s.dilation[0] - s.padding[0];
        if (i0 < 0 || i0 >= s.in[0]) continue;
        for (int64_t k1 = 0; k1 < s.kernel[1]; ++k1) {
          int64_t from = first;
          int64_t to = last;
          clip(s, 1, k1, from, to);
          if (from == to) continue;
          const int64_t i1 = from * s.stride[1] + k1 * s.dilation[1] - s.padding[1];
          const T* line = strip + ((c * s.in[0] + i0) * s.in[1] + i1) * p.line() +
                          (-s.padding[2] - p.low) * p.width;
          for (int64_t k2 = 0; k2 < s.kernel[2]; k2 += tile.taps) {
            const int64_t weight = ((c * s.kernel[0] + k0) * s.kernel[1] + k1) * s.kernel[2] + k2;
            kernel.conv_lanes_weight(
                rows, std::min(tile.taps, s.kernel[2] - k2), to - from, s.out[2],
                line + k2 * s.dilation[2] * p.width, s.stride[1] * p.line(), s.stride[2] * p.width,
                s.dilation[2] * p.width, dy + row * dy_row + (from - first) * s.out[2] * p.width,
                dy_row, sums + (row * depth + weight) * p.width, depth * p.width,
                ask_nothing(sums));
          }
        }
      }
    }
  }
}

// Everything that some images give to one group.
template <class T>
void add_images(const ConvShape& s, const Strip& p, const LanesSource<T>& x,
                const LanesSource<T>& dy, T* sums, double* db) {
  Scratch scratch;
  const Tile tile(s, kernels<T>());
  const int64_t gradient = s.channels_out() * tile.lines * s.out[2] * p.width;
  T* strip = scratch.get<T>(sums == nullptr ? 0 : p.size(s));
  T* packed = scratch.get<T>(gradient);
  if (sums != nullptr) fill_strip(s, p, x, strip);
  for (int64_t o0 = 0; o0 < s.out[0]; ++o0) {
    for (int64_t first = 0; first < s.out[1]; first += tile.lines) {
      const int64_t last = std::min(s.out[1], first + tile.lines);
      const int64_t pixels = (last - first) * s.out[2];
      const int64_t at = (o0 * s.out[1] + first) * s.out[2];
      for (int64_t oc = 0; oc < s.channels_out(); ++oc) {
        const T* from = dy.read(oc * s.out_plane() + at, pixels, packed + oc * pixels * p.width);
        if (db != nullptr) db[oc] += kernels<T>().sum(pixels * p.width, from);
      }
      if (sums == nullptr) continue;
      const int64_t row = dy.lies() ? s.out_plane() : pixels;
      const T* rows = dy.lies() ? dy.x + at * p.width : packed;
      add_lines(s, p, tile, strip, o0, first, last, rows, row * p.width, sums);
    }
  }
}

}  // namespace

template <class T>
bool weight_gradient_lanes_applies(const ConvShape& s) {
  const int64_t width = kernels<T>().vec_width;
  const Strip p(s, width);
  // With one weight and one pixel it is a product of matrices, see conv_weight_pointwise.cc:
  // 384->10 of batch 16 takes 5 us so, 30 here.
  if (s.kernel_size() == 1 && s.in_plane() == 1) return false;
  return s.n >= width && 5 * s.channels_out() <= 4 * width && p.size(s) <= kStripElements &&
         s.channels_out() * s.channels_in() * s.kernel_size() * width <= kSumElements &&
         s.channels_out() * s.out[2] * width <= kGradientElements;
}

template <class T>
void weight_gradient_lanes(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t width = kernel.vec_width;
  const Strip p(s, width);
  const int64_t weights = s.channels_out() * s.channels_in() * s.kernel_size();  // of a group
  const int64_t image_groups = ceil_div(s.n, width);
  const int64_t chunks = std::min(kChunks, image_groups);
  Scratch scratch;
  double* chunk_totals = scratch.get<double>(dw == nullptr ? 0 : s.groups * chunks * weights);
  double* bias_sums = scratch.get<double>(db == nullptr ? 0 : s.groups * chunks * s.channels_out());
  parallel_chunks(s.groups * chunks, [&](int64_t item) {
    const int64_t group = item / chunks;
    const int64_t chunk = item % chunks;
    Scratch own;  // the same memory for every chunk of a thread: it is in cache
    T* sums = dw == nullptr ? nullptr : own.get<T>(weights * width);
    double* chunk_db = db == nullptr ? nullptr : bias_sums + item * s.channels_out();
    if (dw != nullptr) std::fill(sums, sums + weights * width, T{0});
    if (db != nullptr) std::fill(chunk_db, chunk_db + s.channels_out(), 0.0);
    for (int64_t i = image_groups * chunk / chunks; i < image_groups * (chunk + 1) / chunks; ++i) {
      const LanesPart part{group, i * width, std::min(width, s.n - i * width), 0, 0};
      add_images(s, p, input_source(s, x, part), gradient_source(s, dy, part), sums, chunk_db);
    }
    if (dw == nullptr) return;
    add_lanes(weights, sums, own.get<T>(weights * width), chunk_totals + item * weights);
  });
  add_chunks(s.groups, chunks, weights, chunk_totals, dw);
  add_chunks(s.groups, chunks, s.channels_out(), bias_sums, db);
}

template bool weight_gradient_lanes_applies<float>(const ConvShape&);
template bool weight_gradient_lanes_applies<double>(const ConvShape&);
template void weight_gradient_lanes<float>(const ConvShape&, const float*, const float*, float*,
                                           float*);
template void weight_gradient_lanes<double>(const ConvShape&, const double*, const double*, double*,
                                            double*);

}  // namespace laminae
