// Weight gradient of 5 taps a line with images in lanes, by Winograd's F(5, 4) or F(5, 5) along the
// lines: the gradients of a kernel line from 8 products with each tile of 4 of dy instead of 20, or
// from 9 with each of 5 (kernels/winograd_lanes.inl).
//
// A group of vec_width images is transposed to images in lanes; V [point][channel][line][tile]
// of x, with lines of zeros above and below, and U [point][row][line][tile] of some lines of dy.
// The products [point][row][channel][kernel line] are vectors of partial sums, a lane per image
// (conv_lanes_weight), which become weights and are added up over the lanes at the end.
//
// Threads: groups of images are cut into kChunks parts or more, each with sums of its own, added in
// order.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/ops/conv_lanes.h"
#include "core/ops/winograd.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kTaps = 5;
constexpr int64_t kLeastColumns = 8;
constexpr int64_t kChunks = 8;
constexpr int64_t kChunkGroups = 8;             // of images at most: sums of more round more
constexpr int64_t kInputElements = 1 << 17;     // V: 512 KiB
constexpr int64_t kGradientElements = 1 << 15;  // U of some lines: 128 KiB
constexpr int64_t kProductElements = 1 << 17;   // of a chunk

// Sizes that all parts share.
template <class T>
struct Plan {
  const ConvShape& s;
  int64_t width;
  int64_t points;      // products of a tile
  int64_t cols;        // tiles of a line
  int64_t lines;       // of V: all that kernel lines read
  int64_t rows, taps;  // registers: rows * taps products
  int64_t block;       // lines of dy at a time
  int64_t v_step, m_step;

  explicit Plan(const ConvShape& shape) : s(shape) {
    const KernelTable<T>& kernel = kernels<T>();
    width = kernel.vec_width;
    const LinesTile tile(s.out[2]);
    points = tile.points();
    cols = ceil_div(s.out[2], tile.outputs);
    lines = s.out[1] + s.kernel[1] - 1;
    taps = balanced_tile(s.kernel[1], kernel.lanes_weight_taps);
    rows = balanced_tile(s.channels_out(), kernel.conv_lanes_weight_rows(taps));
    const int64_t line = points * s.channels_out() * cols * width;
    const int64_t unit = lines_together(s.tiles);
    block = unit *
            balanced_tile(s.out[1] / unit, std::max<int64_t>(1, kGradientElements / (unit * line)));
    v_step = s.channels_in() * lines * cols * width + 16;
    m_step = s.channels_out() * s.channels_in() * s.kernel[1] * width + 16;
  }

  int64_t weights() const { return s.channels_out() * s.channels_in() * s.kernel[1] * kTaps; }
};

template <class T>
void transform_input(const Plan<T>& p, const LanesSource<T>& x, T* v) {
  const ConvShape& s = p.s;
  const int64_t line = p.cols * p.width;
  Scratch scratch;
  T* room = scratch.get<T>(s.in_lanes ? 0 : s.in_plane() * p.width);
  for (int64_t c = 0; c < s.channels_in(); ++c) {
    const T* plane = x.read(c * s.in_plane(), s.in_plane(), room);
    for (int64_t l = 0; l < p.lines; ++l, v += line) {
      const int64_t from = l - s.padding[1];
      if (from >= 0 && from < s.in[1]) {
        kernels<T>().winograd_lanes_input(p.points, p.cols, -s.padding[2], s.in[2],
                                          plane + from * s.in[2] * p.width, v, p.v_step);
      } else {
        for (int64_t i = 0; i < p.points; ++i)
          std::fill(v + i * p.v_step, v + i * p.v_step + line, T{0});
      }
    }
  }
}

// m += the products of `lines` lines of dy, of which v has the first one's.
template <class T>
void multiply(const Plan<T>& p, const T* v, const T* u, int64_t u_step, int64_t lines, T* m,
              LanesRequests<T>& requests) {
  const ConvShape& s = p.s;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t line = p.cols * p.width;
  const int64_t m_row = s.channels_in() * s.kernel[1] * p.width;
  for (int64_t point = 0; point < p.points; ++point) {
    for (int64_t row = 0; row < s.channels_out(); row += p.rows) {
      for (int64_t c = 0; c < s.channels_in(); ++c) {
        for (int64_t k = 0; k < s.kernel[1]; k += p.taps) {
          kernel.conv_lanes_weight(
              std::min(p.rows, s.channels_out() - row), std::min(p.taps, s.kernel[1] - k), 1,
              lines * p.cols, v + point * p.v_step + (c * p.lines + k) * line, 0, p.width, line,
              u + point * u_step + row * lines * line, lines * line,
              m + point * p.m_step + row * m_row + (c * s.kernel[1] + k) * p.width, m_row,
              requests.next(lines * p.cols, m));
        }
      }
    }
  }
}

// Everything that some images give to one group.
template <class T>
void add_images(const Plan<T>& p, const LanesSource<T>& x, const LanesSource<T>& dy,
                const LanesSource<T>& next_x, const LanesSource<T>& next_dy, T* m, double* db) {
  const ConvShape& s = p.s;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t line = p.cols * p.width;
  Scratch scratch;
  T* v = scratch.get<T>(p.points * p.v_step);
  T* u = scratch.get<T>(p.points * (s.channels_out() * p.block * line + 16));
  T* room = scratch.get<T>(p.block * s.out[2] * p.width);
  transform_input(p, x, v);
  for (int64_t first = 0; first < s.out[1]; first += p.block) {
    const int64_t lines = std::min(p.block, s.out[1] - first);
    const int64_t u_step = s.channels_out() * lines * line + 16;
    for (int64_t oc = 0; oc < s.channels_out(); ++oc) {
      const T* pixels = dy.read(oc * s.out_plane() + first * s.out[2], lines * s.out[2], room);
      if (db != nullptr) db[oc] += kernel.sum(lines * s.out[2] * p.width, pixels);
      kernel.winograd_lanes_gradient(p.points, lines, s.out[2], pixels, u + oc * lines * line,
                                     u_step);
    }
    LanesRequests<T> requests;
    const int64_t end = first + lines;
    if (end < s.out[1]) {
      dy.request(requests, end * s.out[2], std::min(p.block, s.out[1] - end) * s.out[2],
                 s.out_plane(), s.channels_out());
    } else {
      next_dy.request(requests, 0, p.block * s.out[2], s.out_plane(), s.channels_out());
      next_x.request(requests, 0, s.in_plane(), s.in_plane(), s.channels_in());
    }
    multiply(p, v + first * line, u, u_step, lines, m, requests);
  }
}

template <class T>
bool applies(const ConvShape& s) {
  if (!winograd_applies<T>(s)) return false;
  if (s.kernel[2] != kTaps || s.out[2] < kLeastColumns) return false;
  for (int d = 1; d < 3; ++d) {
    if (s.stride[d] != 1 || s.dilation[d] != 1) return false;
  }
  if (s.n * s.c_out * s.channels_in() * s.kernel_size() * s.out_plane() < kLeastWork) return false;
  const Plan<T> p(s);
  return s.n >= p.width && p.points * p.v_step <= kInputElements &&
         p.points * p.m_step <= kProductElements;
}

template <class T>
void run(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  const KernelTable<T>& kernel = kernels<T>();
  const Plan<T> p(s);
  const int64_t weights = p.weights();  // of a group
  const int64_t image_groups = ceil_div(s.n, p.width);
  const int64_t chunks =
      std::min(image_groups, std::max(kChunks, ceil_div(image_groups, kChunkGroups)));
  Scratch scratch;
  double* totals = scratch.get<double>(s.groups * chunks * weights);
  double* bias_sums = scratch.get<double>(db == nullptr ? 0 : s.groups * chunks * s.channels_out());
  parallel_chunks(s.groups * chunks, [&](int64_t item) {
    const int64_t group = item / chunks;
    const int64_t chunk = item % chunks;
    Scratch own;  // the same memory for every chunk of a thread: it is in cache
    T* m = own.get<T>(p.points * p.m_step);
    double* chunk_db = db == nullptr ? nullptr : bias_sums + item * s.channels_out();
    std::fill(m, m + p.points * p.m_step, T{0});
    if (db != nullptr) std::fill(chunk_db, chunk_db + s.channels_out(), 0.0);
    for (int64_t i = image_groups * chunk / chunks; i < image_groups * (chunk + 1) / chunks; ++i) {
      const LanesPart part{group, i * p.width, std::min(p.width, s.n - i * p.width), 0, 0};
      LanesPart next = part;
      if (i + 1 < image_groups) next.image += p.width;
      add_images(p, input_source(s, x, part), gradient_source(s, dy, part),
                 input_source(s, x, next), gradient_source(s, dy, next), m, chunk_db);
    }
    T* sums = own.get<T>(weights * p.width);
    kernel.winograd_lanes_dw(p.points, weights / kTaps, m, p.m_step, sums);
    add_lanes(weights, sums, own.get<T>(weights * p.width), totals + item * weights);
  });
  add_chunks(s.groups, chunks, weights, totals, dw);
  add_chunks(s.groups, chunks, s.channels_out(), bias_sums, db);
}

template <class T>
void run_or_bias(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  if (dw == nullptr) return weight_gradient_lanes(s, x, dy, dw, db);
  run(s, x, dy, dw, db);
}

}  // namespace

template <class T>
WeightGradientAlgorithm<T> weight_gradient_lanes_winograd() {
  return {"winograd lanes", applies<T>, run_or_bias<T>, true};
}

template WeightGradientAlgorithm<float> weight_gradient_lanes_winograd();
template WeightGradientAlgorithm<double> weight_gradient_lanes_winograd();

}  // namespace laminae
