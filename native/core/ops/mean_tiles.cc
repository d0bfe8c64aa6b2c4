// mean_tiles: a function of every element, then the means of 2x2 tiles of runs; and its backward.
// Band by band, so that the pool reads from L1 what the function wrote, and the derivative what the
// pool spread. With images in lanes avg_pool would see windows over three dimensions, whose means
// take three times as long, and their gradients four times.
#include <algorithm>

#include "core/integer.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kBandElements = 1 << 11;  // read: 8 KiB of floats
constexpr int64_t kGrain = 1 << 14;         // elements worth a thread

// Sizes of one call, checked.
struct Tiles {
  bool has_fn;
  UnaryFn fn;
  int64_t rows, columns, inner;  // of means

  template <class Desc>
  Tiles(const Desc& d, const Call& call)
      : has_fn(d.fn != -1),
        fn(d.fn == -1 ? UnaryFn{} : checked_fn<UnaryFn>(call, d.fn)),
        rows(d.rows),
        columns(d.columns),
        inner(d.inner) {
    call.require(rows >= 0 && columns >= 0 && inner >= 1, "sizes must not be negative");
  }

  int64_t means() const { return volume(rows, columns, inner, 1, 1); }
  int64_t elements() const { return volume(4, rows, columns, inner, 1); }
  int64_t row() const { return columns * inner; }

  // make(first row, rows) for all bands.
  template <class Make>
  void each_band(Make&& make) const {
    if (means() == 0) return;
    const int64_t band = std::max<int64_t>(1, kBandElements / (4 * row()));
    parallel_for(rows, ceil_div(kGrain, 4 * row()), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += band) make(i, std::min(band, end - i));
    });
  }
};

}  // namespace

void run_mean_tiles(const mean_tiles_desc& d, Call& call) {
  using Buf = mean_tiles_buf;
  const Tiles t(d, call);
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, t.elements());
    T* f = call.maybe_out<T>(Buf::f, t.elements());
    T* y = call.out<T>(Buf::y, t.means());
    t.each_band([&](int64_t first, int64_t rows) {
      const int64_t count = 4 * rows * t.row();
      const T* from = x + 4 * first * t.row();
      Scratch scratch;
      if (t.has_fn) {
        T* to = f == nullptr ? scratch.get<T>(count) : f + 4 * first * t.row();
        kernels<T>().unary(t.fn, count, from, to);
        from = to;
      }
      kernels<T>().mean_2x2(rows, t.columns, t.inner, from, y + first * t.row());
    });
  });
}

void run_mean_tiles_backward(const mean_tiles_backward_desc& d, Call& call) {
  using Buf = mean_tiles_backward_buf;
  const Tiles t(d, call);
  dispatch_float(call, call.dtype(Buf::dy), [&](auto tag) {
    using T = decltype(tag);
    const T* saved = call.maybe_in<T>(Buf::saved, t.elements());
    const T* dy = call.in<T>(Buf::dy, t.means());
    T* dx = call.out<T>(Buf::dx, t.elements());
    call.require(!t.has_fn || saved != nullptr, "needs what the function gave");
    t.each_band([&](int64_t first, int64_t rows) {
      const int64_t at = 4 * first * t.row();
      kernels<T>().spread_2x2(rows, t.columns, t.inner, dy + first * t.row(), dx + at);
      if (!t.has_fn) return;
      kernels<T>().unary_backward(t.fn, 4 * rows * t.row(), saved + at, dx + at, dx + at);
    });
  });
}

}  // namespace laminae
