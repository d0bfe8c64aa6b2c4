// avg_pool: y = (sum of the values of each window) / divisor; adaptive_avg_pool: the mean of
// windows that divide the plane evenly; and their backward, which spreads dy / divisor over the
// window.
//
// Divisor, PyTorch's rules: the override if there is one; else the cells of the window that lie in
// the input or, if padding counts, in the padded input (what ceilMode adds beyond that never
// counts).
//
// Ways, in order: 2x2 windows that tile the planes have a kernel of their own; rows of cells in
// vectors (ops/pool_rows.h) where rows are long enough; else window by window; there sums run in
// double, and a window that is one contiguous run (as in global pooling) is summed in one piece.
#include "core/ops/pool_rows.h"

namespace laminae {

namespace {

struct Divisor {
  bool count_padding;
  double override_value;  // 0: none
};

// Cells that the window of output o contributes to the divisor.
int64_t divisor_size(const PoolDim& p, int64_t o, const Divisor& divisor) {
  if (divisor.count_padding) return std::min(p.kernel, p.in + p.padding - p.start(o));
  return p.end_cell(o) - p.first_cell(o);
}

// What the width contributes for every output of a row, with room for reading whole vectors; the
// override if there is one.
template <class T>
const T* divisor_row(Scratch& scratch, const PoolDim& w, const Divisor& divisor) {
  const int64_t room = w.out + kernels<T>().vec_width;
  T* row = scratch.get<T>(room);
  std::fill_n(row, room, T{1});
  for (int64_t o = 0; o < w.out; ++o) {
    row[o] = static_cast<T>(divisor.override_value != 0
                                ? divisor.override_value
                                : static_cast<double>(divisor_size(w, o, divisor)));
  }
  return row;
}

// What the other dimensions contribute.
template <class T>
T divisor_scale(const PoolGeometry& g, int64_t od, int64_t oh, const Divisor& divisor) {
  if (divisor.override_value != 0) return T{1};
  return static_cast<T>(divisor_size(g.d, od, divisor) * divisor_size(g.h, oh, divisor));
}

template <class T>
void avg_by_rows(const PoolGeometry& g, const Divisor& divisor, const T* x, T* y) {
  Scratch scratch;
  const T* row = divisor_row<T>(scratch, g.w, divisor);
  for_each_tap_rows(g, x, T{0}, [&](const TapRows<T>& r) {
    T* out = y + ((r.plane * g.d.out + r.od) * g.h.out + r.oh) * g.w.out;
    if (r.taps == 0) {
      std::fill_n(out, r.rows * g.w.out, T{0});
      return;
    }
    // Rows with the same cells have the same divisor: a row that the padding or ceilMode cuts is
    // alone.
    const T scale = divisor_scale<T>(g, r.od, r.oh, divisor);
    kernels<T>().mean_taps(r.rows, g.w.out, r.taps, r.tap, r.tap_step, row, scale, out, g.w.out);
  });
}

template <class T>
void avg_back_by_rows(const PoolGeometry& g, const Divisor& divisor, const T* dy, T* dx) {
  Scratch scratch;
  const T* row = divisor_row<T>(scratch, g.w, divisor);
  pool_back_by_rows<T>(
      g, nullptr, dx,
      [&](int64_t plane, int64_t od, int64_t oh, int64_t rows, T* to, int64_t step) {
        const T* from = dy + ((plane * g.d.out + od) * g.h.out + oh) * g.w.out;
        for (int64_t i = 0; i < rows;) {
          const T scale = divisor_scale<T>(g, od, oh + i, divisor);
          int64_t n = 1;
          while (i + n < rows && divisor_scale<T>(g, od, oh + i + n, divisor) == scale) ++n;
          kernels<T>().copy_rows(n, g.w.out, from + i * g.w.out, g.w.out, row, scale, to + i * step,
                                 step);
          i += n;
        }
      });
}

// ---- 2x2 windows that tile the planes ----

bool tiles_2x2(const PoolGeometry& g, const Divisor& divisor) {
  const auto halves = [](const PoolDim& p) {
    return p.kernel == 2 && p.stride == 2 && p.padding == 0 && p.in == 2 * p.out;
  };
  const bool flat = g.d.in == 1 && g.d.out == 1 && g.d.kernel == 1 && g.d.padding == 0;
  return flat && halves(g.h) && halves(g.w) && divisor.override_value == 0;
}

// run(first row of outputs, rows): the rows of all planes are those of one plane.
template <class Run>
void over_2x2(const PoolGeometry& g, Run&& run) {
  parallel_for(g.planes * g.h.out, ceil_div(kPoolGrain, 4 * g.w.out),
               [&](int64_t begin, int64_t end) { run(begin, end - begin); });
}

// ---- window by window ----

// Runs at least this long go through the vector kernels.
constexpr int64_t kLongRun = 16;

template <class T>
double sum_of_run(const T* x, int64_t n) {
  if (n >= kLongRun) return kernels<T>().sum(n, x);
  double s = 0;
  for (int64_t i = 0; i < n; ++i) s += static_cast<double>(x[i]);
  return s;
}

template <class T>
void add_to_run(T value, T* y, int64_t n) {
  if (n >= kLongRun) {
    kernels<T>().affine(n, T{1}, y, value, y);
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] += value;
  }
}

// Calls fn(output, offset of a run in its plane, length, divisor) for the runs of every window.
// Windows as wide as the plane are runs over several rows.
struct WindowWalk {
  const int64_t* in;
  const int64_t* out;
  const WindowBounds* bounds;
  double override_value;

  template <class Fn>
  void each(Fn&& fn) const {
    int64_t at = 0;
    for (int64_t od = 0; od < out[0]; ++od) {
      for (int64_t oh = 0; oh < out[1]; ++oh) {
        for (int64_t ow = 0; ow < out[2]; ++ow, ++at) {
          const WindowBounds &d = bounds[0], &h = bounds[1], &w = bounds[2];
          const double size = override_value != 0
                                  ? override_value
                                  : static_cast<double>(d.size[od] * h.size[oh] * w.size[ow]);
          const int64_t width = w.end[ow] - w.begin[ow];
          const int64_t height = h.end[oh] - h.begin[oh];
          const bool whole_rows = width == in[2];
          const int64_t step = whole_rows ? std::max<int64_t>(height, 1) : 1;
          for (int64_t id = d.begin[od]; id < d.end[od]; ++id) {
            for (int64_t ih = h.begin[oh]; ih < h.end[oh]; ih += step) {
              fn(at, (id * in[1] + ih) * in[2] + w.begin[ow], width * step, size);
            }
          }
        }
      }
    }
  }
};

template <class T>
void avg_by_windows(int64_t planes, const WindowWalk& walk, const T* x, T* y) {
  const int64_t in_plane = walk.in[0] * walk.in[1] * walk.in[2];
  const int64_t out_plane = walk.out[0] * walk.out[1] * walk.out[2];
  parallel_for(planes, ceil_div(kPoolGrain / 4, std::max(in_plane, out_plane)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t plane = begin; plane < end; ++plane) {
                   const T* source = x + plane * in_plane;
                   T* target = y + plane * out_plane;
                   std::fill_n(target, out_plane, T{0});
                   int64_t current = -1;
                   double sum = 0;
                   walk.each([&](int64_t at, int64_t offset, int64_t n, double size) {
                     sum = (at == current ? sum : 0) + sum_of_run(source + offset, n);
                     current = at;
                     target[at] = static_cast<T>(sum / size);
                   });
                 }
               });
}

template <class T>
void avg_back_by_windows(int64_t planes, const WindowWalk& walk, const T* dy, T* dx) {
  const int64_t in_plane = walk.in[0] * walk.in[1] * walk.in[2];
  const int64_t out_plane = walk.out[0] * walk.out[1] * walk.out[2];
  parallel_for(planes, ceil_div(kPoolGrain / 4, std::max(in_plane, out_plane)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t plane = begin; plane < end; ++plane) {
                   T* target = dx + plane * in_plane;
                   const T* source = dy + plane * out_plane;
                   kernels<T>().fill(in_plane, T{0}, target);
                   walk.each([&](int64_t at, int64_t offset, int64_t n, double size) {
                     add_to_run(static_cast<T>(static_cast<double>(source[at]) / size),
                                target + offset, n);
                   });
                 }
               });
}

// One way for a pool and its backward: `rows(geometry)` or `windows(walk)`.
template <class Rows, class Windows>
void choose(const PoolGeometry& g, const Divisor& divisor, Rows&& rows, Windows&& windows) {
  if (g.planes == 0) return;
  if (pools_by_rows(g)) {
    rows(with_planes_stacked(g));
    return;
  }
  Scratch scratch;
  const WindowBounds bounds[3] = {pool_bounds(scratch, g.d, divisor.count_padding),
                                  pool_bounds(scratch, g.h, divisor.count_padding),
                                  pool_bounds(scratch, g.w, divisor.count_padding)};
  const int64_t in[3] = {g.d.in, g.h.in, g.w.in};
  const int64_t out[3] = {g.d.out, g.h.out, g.w.out};
  windows(WindowWalk{in, out, bounds, divisor.override_value});
}

template <class Desc>
Divisor divisor_of(const Call& call, const Desc& d) {
  call.require(d.divisor == d.divisor, "divisor must be a number");
  return {d.count_padding != 0, d.divisor};
}

}  // namespace

void run_avg_pool(const avg_pool_desc& d, Call& call) {
  const PoolGeometry g = pool_geometry(call, d, nullptr);
  const Divisor divisor = divisor_of(call, d);
  dispatch_float(call, call.dtype(avg_pool_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(avg_pool_buf::x, g.in_count());
    T* y = call.out<T>(avg_pool_buf::y, g.out_count());
    if (tiles_2x2(g, divisor)) {
      over_2x2(g, [&](int64_t row, int64_t rows) {
        kernels<T>().mean_2x2(rows, g.w.out, 1, x + 4 * row * g.w.out, y + row * g.w.out);
      });
      return;
    }
    choose(
        g, divisor, [&](const PoolGeometry& s) { avg_by_rows(s, divisor, x, y); },
        [&](const WindowWalk& walk) { avg_by_windows(g.planes, walk, x, y); });
  });
}

void run_avg_pool_backward(const avg_pool_backward_desc& d, Call& call) {
  const PoolGeometry g = pool_geometry(call, d, nullptr);
  const Divisor divisor = divisor_of(call, d);
  dispatch_float(call, call.dtype(avg_pool_backward_buf::dy), [&](auto tag) {
    using T = decltype(tag);
    const T* dy = call.in<T>(avg_pool_backward_buf::dy, g.out_count());
    T* dx = call.out<T>(avg_pool_backward_buf::dx, g.in_count());
    if (tiles_2x2(g, divisor)) {
      over_2x2(g, [&](int64_t row, int64_t rows) {
        kernels<T>().spread_2x2(rows, g.w.out, 1, dy + row * g.w.out, dx + 4 * row * g.w.out);
      });
      return;
    }
    choose(
        g, divisor, [&](const PoolGeometry& s) { avg_back_by_rows(s, divisor, dy, dx); },
        [&](const WindowWalk& walk) { avg_back_by_windows(g.planes, walk, dy, dx); });
  });
}

namespace {

template <class Desc>
int64_t in_count(const Desc& d) {
  return volume(d.planes, d.in[0], d.in[1], d.in[2]);
}

template <class Desc>
int64_t out_count(const Desc& d) {
  return volume(d.planes, d.out[0], d.out[1], d.out[2]);
}

// After the extents of the buffers were checked.
template <class Desc, class Fn>
void with_adaptive_walk(const Desc& d, Fn&& fn) {
  if (d.planes == 0) return;
  Scratch scratch;
  WindowBounds bounds[3];
  for (int i = 0; i < 3; ++i) bounds[i] = adaptive_bounds(scratch, d.in[i], d.out[i]);
  fn(WindowWalk{d.in, d.out, bounds, 0});
}

}  // namespace

void run_adaptive_avg_pool(const adaptive_avg_pool_desc& d, Call& call) {
  using Buf = adaptive_avg_pool_buf;
  check_adaptive(call, d);
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, in_count(d));
    T* y = call.out<T>(Buf::y, out_count(d));
    with_adaptive_walk(d, [&](const WindowWalk& walk) { avg_by_windows(d.planes, walk, x, y); });
  });
}

void run_adaptive_avg_pool_backward(const adaptive_avg_pool_backward_desc& d, Call& call) {
  using Buf = adaptive_avg_pool_backward_buf;
  check_adaptive(call, d);
  dispatch_float(call, call.dtype(Buf::dy), [&](auto tag) {
    using T = decltype(tag);
    const T* dy = call.in<T>(Buf::dy, out_count(d));
    T* dx = call.out<T>(Buf::dx, in_count(d));
    with_adaptive_walk(
        d, [&](const WindowWalk& walk) { avg_back_by_windows(d.planes, walk, dy, dx); });
  });
}

}  // namespace laminae
