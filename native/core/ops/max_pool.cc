// max_pool: y = the largest value of each window; its gradient goes to where that value was.
//
// PyTorch's rules: padding never wins; the first maximum wins; NaN is larger than anything, and of
// several the last wins; a window of nothing but -infinity gives its first valid cell.
//
// What backward needs is saved as one byte per output, the number of the winning cell of the window
// (ops/pool.h), when a window has at most 255 cells, else as the position within the plane (int32).
// max_pool_indices makes positions of bytes for those who ask for them; scatter_planes is the
// backward of positions.
//
// Ways, in order: planes in lanes (ops/pool_lanes.h) where there are many small ones, forward
// alone; rows of cells in vectors (ops/pool_rows.h) where rows are long enough; else window by
// window.
#include <cmath>
#include <limits>

#include "core/ops/pool_lanes.h"
#include "core/ops/pool_rows.h"

namespace laminae {

namespace {

template <class T>
constexpr T kLowest = -std::numeric_limits<T>::infinity();

// Where the maximum of one window was.
struct Winner {
  int64_t d, h, w;
};

// Runs at least this long go through the vector kernel.
constexpr int64_t kLongRun = 32;

// The maximum of x[0], x[step], ... (end exclusive) against *best; true and its position if it
// replaces it.
template <class T>
bool max_of_run(const T* x, int64_t begin, int64_t end, int64_t step, T* best, int64_t* where) {
  if (step == 1 && end - begin >= kLongRun) {
    int64_t at = 0;
    const T value = kernels<T>().max_with_index(end - begin, x + begin, &at);
    if (!std::isnan(value)) {
      if (!(value > *best)) return false;
      *best = value;
      *where = begin + at;
      return true;
    }
  }
  bool found = false;
  for (int64_t i = begin; i < end; i += step) {
    if (!(x[i] > *best || std::isnan(x[i]))) continue;
    *best = x[i];
    *where = i;
    found = true;
  }
  return found;
}

// Calls store(output, od, oh, ow, value, winner) for every window of all planes, in parallel over
// planes.
template <class T, class Store>
void max_by_windows(int64_t planes, const int64_t* in, const int64_t* out,
                    const WindowBounds* bounds, const T* x, Store&& store) {
  const WindowBounds& d = bounds[0];
  const WindowBounds& h = bounds[1];
  const WindowBounds& w = bounds[2];
  const int64_t in_plane = in[0] * in[1] * in[2];
  const int64_t out_plane = out[0] * out[1] * out[2];
  parallel_for(planes, ceil_div(kPoolGrain / 4, std::max(in_plane, out_plane)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t plane = begin; plane < end; ++plane) {
                   const T* source = x + plane * in_plane;
                   int64_t at = plane * out_plane;
                   for (int64_t od = 0; od < out[0]; ++od) {
                     for (int64_t oh = 0; oh < out[1]; ++oh) {
                       for (int64_t ow = 0; ow < out[2]; ++ow, ++at) {
                         T best = kLowest<T>;
                         // The first valid cell, unless something beats -infinity; clamped should
                         // the window be empty.
                         Winner winner{std::min(d.begin[od], in[0] - 1),
                                       std::min(h.begin[oh], in[1] - 1),
                                       std::min(w.begin[ow], in[2] - 1)};
                         for (int64_t id = d.begin[od]; id < d.end[od]; id += d.step) {
                           for (int64_t ih = h.begin[oh]; ih < h.end[oh]; ih += h.step) {
                             const T* row = source + (id * in[1] + ih) * in[2];
                             int64_t iw = 0;
                             if (max_of_run(row, w.begin[ow], w.end[ow], w.step, &best, &iw))
                               winner = {id, ih, iw};
                           }
                         }
                         store(at, od, oh, ow, best, winner);
                       }
                     }
                   }
                 }
               });
}

template <class T>
void max_by_rows(const PoolGeometry& g, const T* x, T* y, uint8_t* chosen) {
  for_each_tap_rows(g, x, kLowest<T>, [&](const TapRows<T>& r) {
    const int64_t at = ((r.plane * g.d.out + r.od) * g.h.out + r.oh) * g.w.out;
    if (r.taps == 0) {
      std::fill_n(y + at, r.rows * g.w.out, kLowest<T>);
      if (chosen != nullptr) std::fill_n(chosen + at, r.rows * g.w.out, uint8_t{0});
      return;
    }
    uint8_t* c = chosen == nullptr ? nullptr : chosen + at;
    kernels<T>().max_taps(r.rows, g.w.out, r.taps, r.tap, r.tap_step, r.code, y + at, g.w.out, c);
    if (c == nullptr) return;
    // The kernel takes padding for values of -infinity: nothing but those must not choose the
    // padding.
    for (int64_t ow = 0; ow < g.w.out && g.w.start(ow) < 0; ++ow) {
      const int64_t first = std::min(g.w.first_cell(ow), g.w.kernel - 1);
      for (int64_t i = 0; i < r.rows; ++i) {
        if (y[at + i * g.w.out + ow] == kLowest<T>)
          c[i * g.w.out + ow] = static_cast<uint8_t>(r.first_cell + first);
      }
    }
  });
}

template <class T>
void max_pool(const PoolGeometry& g, const T* x, T* y, uint8_t* chosen, int32_t* index) {
  if (pools_in_lanes<T>(g) && index == nullptr) {
    max_pool_lanes(g, kLowest<T>, x, y, chosen);
    return;
  }
  if (pools_by_rows(g) && index == nullptr) {
    max_by_rows(with_planes_stacked(g), x, y, chosen);
    return;
  }
  Scratch scratch;
  const WindowBounds bounds[3] = {pool_bounds(scratch, g.d, false),
                                  pool_bounds(scratch, g.h, false),
                                  pool_bounds(scratch, g.w, false)};
  const int64_t in[3] = {g.d.in, g.h.in, g.w.in};
  const int64_t out[3] = {g.d.out, g.h.out, g.w.out};
  max_by_windows(g.planes, in, out, bounds, x,
                 [&](int64_t at, int64_t od, int64_t oh, int64_t ow, T value, const Winner& p) {
                   y[at] = value;
                   if (index != nullptr)
                     index[at] = static_cast<int32_t>((p.d * g.h.in + p.h) * g.w.in + p.w);
                   if (chosen == nullptr) return;
                   const int64_t kd = std::max<int64_t>(0, p.d - g.d.start(od)) / g.d.dilation;
                   const int64_t kh = std::max<int64_t>(0, p.h - g.h.start(oh)) / g.h.dilation;
                   const int64_t kw = std::max<int64_t>(0, p.w - g.w.start(ow)) / g.w.dilation;
                   chosen[at] = static_cast<uint8_t>((kd * g.h.kernel + kh) * g.w.kernel + kw);
                 });
}

// Position in the plane of cell `code` of one window, clamped into the plane (it is outside for an
// empty window only).
int64_t position(const PoolGeometry& g, int64_t od, int64_t oh, int64_t ow, int64_t code) {
  const int64_t kw = code % g.w.kernel;
  const int64_t kh = code / g.w.kernel % g.h.kernel;
  const int64_t kd = code / g.w.kernel / g.h.kernel;
  const int64_t id = std::clamp<int64_t>(g.d.start(od) + kd * g.d.dilation, 0, g.d.in - 1);
  const int64_t ih = std::clamp<int64_t>(g.h.start(oh) + kh * g.h.dilation, 0, g.h.in - 1);
  const int64_t iw = std::clamp<int64_t>(g.w.start(ow) + kw * g.w.dilation, 0, g.w.in - 1);
  return (id * g.h.in + ih) * g.w.in + iw;
}

// Calls visit(plane, output, position) for every output, in parallel over planes.
template <class Visit>
void for_each_position(const PoolGeometry& g, const uint8_t* chosen, Visit&& visit) {
  parallel_for(g.planes, ceil_div(kPoolGrain / 4, g.out_plane()), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      int64_t at = plane * g.out_plane();
      for (int64_t od = 0; od < g.d.out; ++od) {
        for (int64_t oh = 0; oh < g.h.out; ++oh) {
          for (int64_t ow = 0; ow < g.w.out; ++ow, ++at)
            visit(plane, at, position(g, od, oh, ow, chosen[at]));
        }
      }
    }
  });
}

// Planes of at most so many elements are done window by window in backward: 28x28 with 3x3 windows
// at stride 2 take 0.15 us so and 0.31 by rows, 64x64 0.87 and 0.80.
constexpr int64_t kSmallPlane = 1024;

// Adds every gradient to the element that won, plane after plane. With 3x3 windows at stride 2,
// 22x22 takes 80 ns so; with planes in lanes 130, 8x8 9 and 21.
template <class T>
void max_pool_backward_planes(const PoolGeometry& g, const T* dy, const uint8_t* chosen, T* dx) {
  const int64_t in = g.in_plane();
  const int64_t out = g.out_plane();
  Scratch scratch;
  int64_t* start = scratch.get<int64_t>(out);  // of the windows, in the plane
  for (int64_t o = 0; o < out; ++o) {
    const int64_t oh = o / g.w.out % g.h.out;
    start[o] = (g.d.start(o / g.w.out / g.h.out) * g.h.in + g.h.start(oh)) * g.w.in +
               g.w.start(o % g.w.out);
  }
  int64_t offset[256] = {};  // of the cells; a byte that is none counts as the first
  for (int64_t cell = 0; cell < g.cells(); ++cell) {
    const int64_t kh = cell / g.w.kernel % g.h.kernel;
    const int64_t kd = cell / g.w.kernel / g.h.kernel;
    offset[cell] = (kd * g.d.dilation * g.h.in + kh * g.h.dilation) * g.w.in +
                   cell % g.w.kernel * g.w.dilation;
  }
  parallel_for(g.planes, ceil_div(kPoolGrain / 4, in + out), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      T* to = dx + plane * in;
      const T* from = dy + plane * out;
      const uint8_t* cell = chosen + plane * out;
      std::fill(to, to + in, T{0});
      for (int64_t o = 0; o < out; ++o) {
        const int64_t p = start[o] + offset[cell[o]];
        to[p >= 0 && p < in ? p : 0] += from[o];  // outside only if no cell of the window is inside
      }
    }
  });
}

template <class T>
void max_pool_backward(const PoolGeometry& g, const T* dy, const uint8_t* chosen, T* dx) {
  if (g.in_plane() <= kSmallPlane || !pools_by_rows(g)) {
    max_pool_backward_planes(g, dy, chosen, dx);
    return;
  }
  const PoolGeometry s = with_planes_stacked(g);
  pool_back_by_rows(s, chosen, dx,
                    [&](int64_t plane, int64_t od, int64_t oh, int64_t rows, T* to, int64_t step) {
                      const T* from = dy + ((plane * s.d.out + od) * s.h.out + oh) * s.w.out;
                      kernels<T>().copy_rows(rows, s.w.out, from, s.w.out, nullptr, T{1}, to, step);
                    });
}

}  // namespace

void run_max_pool(const max_pool_desc& d, Call& call) {
  using Buf = max_pool_buf;
  const PoolGeometry g = pool_geometry(call, d, d.dilation);
  const bool bytes = g.cells() <= kMaxCells;
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, g.in_count());
    T* y = call.out<T>(Buf::y, g.out_count());
    uint8_t* chosen = bytes ? call.maybe_out<uint8_t>(Buf::chosen, g.out_count()) : nullptr;
    int32_t* index = bytes ? nullptr : call.maybe_out<int32_t>(Buf::chosen, g.out_count());
    if (g.planes > 0) max_pool(g, x, y, chosen, index);
  });
}

void run_max_pool_backward(const max_pool_backward_desc& d, Call& call) {
  using Buf = max_pool_backward_buf;
  const PoolGeometry g = pool_geometry(call, d, d.dilation);
  call.require(g.cells() <= kMaxCells,
               "windows of more than 255 cells have positions: use scatter_planes");
  dispatch_float(call, call.dtype(Buf::dy), [&](auto tag) {
    using T = decltype(tag);
    const T* dy = call.in<T>(Buf::dy, g.out_count());
    const uint8_t* chosen = call.in<uint8_t>(Buf::chosen, g.out_count());
    T* dx = call.out<T>(Buf::dx, g.in_count());
    if (g.planes > 0) max_pool_backward(g, dy, chosen, dx);
  });
}

void run_max_pool_indices(const max_pool_indices_desc& d, Call& call) {
  using Buf = max_pool_indices_buf;
  const PoolGeometry g = pool_geometry(call, d, d.dilation);
  const uint8_t* chosen = call.in<uint8_t>(Buf::chosen, g.out_count());
  int32_t* index = call.out<int32_t>(Buf::index, g.out_count());
  for_each_position(g, chosen,
                    [&](int64_t, int64_t at, int64_t p) { index[at] = static_cast<int32_t>(p); });
}

void run_adaptive_max_pool(const adaptive_max_pool_desc& d, Call& call) {
  using Buf = adaptive_max_pool_buf;
  const int64_t in_count = volume(d.planes, d.in[0], d.in[1], d.in[2]);
  const int64_t out_count = volume(d.planes, d.out[0], d.out[1], d.out[2]);
  check_adaptive(call, d);
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, in_count);
    T* y = call.out<T>(Buf::y, out_count);
    int32_t* index = call.maybe_out<int32_t>(Buf::index, out_count);
    if (d.planes == 0) return;
    Scratch scratch;
    WindowBounds bounds[3];
    for (int i = 0; i < 3; ++i) bounds[i] = adaptive_bounds(scratch, d.in[i], d.out[i]);
    max_by_windows(d.planes, d.in, d.out, bounds, x,
                   [&](int64_t at, int64_t, int64_t, int64_t, T value, const Winner& p) {
                     y[at] = value;
                     if (index == nullptr) return;
                     index[at] = static_cast<int32_t>((p.d * d.in[1] + p.h) * d.in[2] + p.w);
                   });
  });
}

}  // namespace laminae
