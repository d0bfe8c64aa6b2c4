// Max pooling of many small planes, whose rows would leave vectors part empty: a vector holds the
// same element of kWidth planes.
//
// The planes of a block are transposed to [element][plane]; neighbouring outputs of a row are then
// rows to the kernels of pool.inl, and windows at the edge have fewer cells instead of padding.
// With AVX-512, 3x3 windows at stride 2 of 10x10 planes take 21 ns a plane; laid out in rows 66 ns.
#pragma once

#include "core/kernels.h"
#include "core/ops/pool.h"
#include "core/ops/pool_rows.h"
#include "core/parallel.h"

namespace laminae {

constexpr int64_t kLaneBytes = 40 * 1024;  // of a block of planes; 32x32 to 16x16 loses
constexpr int64_t kLaneCells = 25;

template <class T>
bool pools_in_lanes(const PoolGeometry& g) {
  const int64_t width = kernels<T>().vec_width;
  const int64_t most = kLaneBytes / (width * static_cast<int64_t>(sizeof(T)));
  return g.planes >= width && g.w.out < width && g.cells() <= kLaneCells && g.in_plane() <= most &&
         g.out_plane() <= most;
}

// The windows of a plane in lanes, in runs of neighbours with the same cells inside the plane.
template <class T>
class LaneWindows {
 public:
  struct Run {
    int64_t output, rows;  // the first, and how many
    int64_t taps;
    T* const* tap;  // elements of the first window
    const T* code;  // their cells
  };

  // lanes: the elements [in_plane][kWidth].
  LaneWindows(const PoolGeometry& g, T* lanes, Scratch& scratch) {
    const int64_t width = kernels<T>().vec_width;
    runs_ = scratch.get<Run>(g.out_plane());
    T** tap = scratch.get<T*>(g.out_plane() * g.cells());
    T* code = scratch.get<T>(g.out_plane() * g.cells());
    int64_t output = 0;
    for (int64_t od = 0; od < g.d.out; ++od) {
      for (int64_t oh = 0; oh < g.h.out; ++oh) {
        for (int64_t ow = 0; ow < g.w.out;) {
          const int64_t kw0 = g.w.first_cell(ow);
          const int64_t kw1 = g.w.end_cell(ow);
          int64_t rows = 1;
          while (ow + rows < g.w.out && g.w.first_cell(ow + rows) == kw0 &&
                 g.w.end_cell(ow + rows) == kw1)
            ++rows;
          int64_t taps = 0;
          for (int64_t kd = g.d.first_cell(od); kd < g.d.end_cell(od); ++kd) {
            for (int64_t kh = g.h.first_cell(oh); kh < g.h.end_cell(oh); ++kh) {
              for (int64_t kw = kw0; kw < kw1; ++kw) {
                const int64_t id = g.d.start(od) + kd * g.d.dilation;
                const int64_t ih = g.h.start(oh) + kh * g.h.dilation;
                const int64_t iw = g.w.start(ow) + kw * g.w.dilation;
                const int64_t cell = (kd * g.h.kernel + kh) * g.w.kernel + kw;
                tap[taps] = lanes + ((id * g.h.in + ih) * g.w.in + iw) * width;
                code[taps++] = static_cast<T>(cell);
              }
            }
          }
          runs_[count_++] = {output, rows, taps, tap, code};
          tap += taps;
          code += taps;
          output += rows;
          ow += rows;
        }
      }
    }
  }

  const Run* begin() const { return runs_; }
  const Run* end() const { return runs_ + count_; }

 private:
  Run* runs_;
  int64_t count_ = 0;
};

// to[j][i] = from[i][j] for bytes: from [rows][from_step], to [cols][to_step].
inline void transpose_bytes(int64_t rows, int64_t cols, const uint8_t* from, int64_t from_step,
                            uint8_t* to, int64_t to_step) {
  for (int64_t j = 0; j < cols; ++j) {
    for (int64_t i = 0; i < rows; ++i) to[j * to_step + i] = from[i * from_step + j];
  }
}

// Calls fn(first plane, planes) for blocks of at most kWidth planes.
template <class T, class Fn>
void for_each_lane_block(const PoolGeometry& g, int64_t begin, int64_t end, Fn&& fn) {
  const int64_t width = kernels<T>().vec_width;
  for (int64_t block = begin; block < end; ++block) {
    const int64_t first = block * width;
    fn(first, std::min(width, g.planes - first));
  }
}

template <class T>
int64_t lane_grain(const PoolGeometry& g) {
  const int64_t work = g.in_plane() + g.out_plane() * g.cells();
  return ceil_div(kPoolGrain, work * kernels<T>().vec_width);
}

template <class T>
void max_pool_lanes(const PoolGeometry& g, T lowest, const T* x, T* y, uint8_t* chosen) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t width = kernel.vec_width;
  const int64_t in = g.in_plane();
  const int64_t out = g.out_plane();
  parallel_for(ceil_div(g.planes, width), lane_grain<T>(g), [&](int64_t begin, int64_t end) {
    Scratch scratch;
    T* x_lanes = scratch.get<T>(in * width);
    T* y_lanes = scratch.get<T>(out * width);
    uint8_t* cells = chosen == nullptr ? nullptr : scratch.get<uint8_t>(out * width);
    std::fill_n(x_lanes, in * width, T{0});  // lanes without a plane
    const LaneWindows<T> windows(g, x_lanes, scratch);
    for_each_lane_block<T>(g, begin, end, [&](int64_t first, int64_t planes) {
      kernel.transpose(planes, in, x + first * in, in, x_lanes, width);
      for (const auto& run : windows) {
        T* to = y_lanes + run.output * width;
        uint8_t* cell = cells == nullptr ? nullptr : cells + run.output * width;
        if (run.taps > 0) {
          kernel.max_taps(run.rows, width, run.taps, run.tap, g.w.stride * width, run.code, to,
                          width, cell);
        } else {
          std::fill_n(to, run.rows * width, lowest);
          if (cell != nullptr) std::fill_n(cell, run.rows * width, uint8_t{0});
        }
      }
      kernel.transpose(out, planes, y_lanes, width, y + first * out, out);
      if (cells != nullptr) transpose_bytes(out, planes, cells, width, chosen + first * out, out);
    });
  });
}

}  // namespace laminae
