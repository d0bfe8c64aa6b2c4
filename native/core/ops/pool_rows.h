// Laying planes out for the row kernels of pool.inl: the fast way to pool, for windows of at most
// 255 cells.
//
// Forward. The input rows of a band of output rows are copied to scratch, each into one or more
// "slots" in which the values that neighbouring outputs read lie side by side, with padding at both
// ends:
//   stride 1    one slot: the row
//   stride 2    two slots: its even and odd elements (counted from the start of the padding)
//   stride >= 3 one slot per cell of the window's width
// Cell k_w of the window is then slot[..][shift + o_w]: contiguous over o_w. Bands keep the scratch
// in L1.
//
// Backward. Rows of dy, with zeros at both ends, are read shifted by what each cell moved them: an
// input element sums what the windows that cover it send back. Each dx is written once, so nothing
// has to be cleared, and the order of the sum is fixed.
//
// Both hand many rows at a time to the kernels: making lists of taps costs as much as computing a
// row. But of tensors that the caches do not keep only few rows: while a band is computed nothing
// is read of memory, and its prefetchers lose their way.
#pragma once
#include <limits>

#include "core/kernels.h"
#include "core/ops/pool.h"
#include "core/parallel.h"

namespace laminae {

constexpr int64_t kMaxCells = 255;
// Work (outputs x cells) that is worth a thread.
constexpr int64_t kPoolGrain = 64 * 1024;

// Rows that are laid out at a time, of `row_bytes` each, `reach` of them only because the next band
// reads them too. Input and gradient of 512 planes of 112 x 112, windows of 3 x 3 at stride 2: 1.5
// and 4.2 ms with 6 KiB, 2.4 and 5.8 with 24; of 64 planes of 55 x 55 49 us with 6 and 40 with 24
// (one thread of a Zen 4 core).
inline int64_t band_rows(const PoolGeometry& g, int64_t element_bytes, int64_t row_bytes,
                         int64_t reach) {
  constexpr int64_t kFarBytes = 8 << 20;
  constexpr int64_t kBandBytes = 24 * 1024, kFarBandBytes = 6 * 1024;
  const int64_t most = kBandBytes / row_bytes;
  if (g.in_count() * element_bytes <= kFarBytes) return most;
  return std::min(most, std::max(kFarBandBytes / row_bytes, 3 * reach));
}

// With fewer outputs in a row, vectors would be mostly empty.
inline bool pools_by_rows(const PoolGeometry& g) { return g.cells() <= kMaxCells && g.w.out >= 4; }

// Windows that tile the height without overlap or remainder: all planes are one plane of many rows.
inline PoolGeometry with_planes_stacked(const PoolGeometry& g) {
  const bool flat = g.d.in == 1 && g.d.out == 1 && g.d.kernel == 1 && g.d.padding == 0;
  const bool tiles = g.h.kernel == g.h.stride && g.h.dilation == 1 && g.h.padding == 0 &&
                     g.h.in == g.h.out * g.h.stride;
  if (!flat || !tiles) return g;
  PoolGeometry stacked = g;
  stacked.planes = 1;
  stacked.h.in *= g.planes;
  stacked.h.out *= g.planes;
  return stacked;
}

// ---- forward ----

// Output rows that share their cells: `taps` pointers to the first row's values, the next row's
// tap_step further on.
template <class T>
struct TapRows {
  int64_t plane, od, oh, rows;
  int64_t taps;
  const T* const* tap;
  int64_t tap_step;
  const T* code;       // number of the cell of each tap
  int64_t first_cell;  // number of the first valid cell with k_w = 0
};

// The slots of one row: see above.
template <class T>
class RowSlots {
 public:
  explicit RowSlots(const PoolDim& w) : w_(w) {
    count_ = w.stride == 1 ? 1 : w.stride == 2 ? 2 : w.kernel;
    const int64_t reach = w.stride <= 2 ? (w.kernel - 1) * w.dilation / w.stride : 0;
    pitch_ = round_up(w.out + reach + kernels<T>().vec_width, 16);
  }

  int64_t row_size() const { return count_ * pitch_; }

  // Offset of the values that cell k reads for output 0.
  int64_t cell(int64_t k) const {
    const int64_t u = k * w_.dilation;
    if (w_.stride == 1) return u;
    if (w_.stride == 2) return u % 2 * pitch_ + u / 2;
    return k * pitch_;
  }

  // Copies rows of the input. Elements in the padding are not touched: they keep what the scratch
  // was filled with.
  void copy(int64_t rows, const T* x, T* to) const {
    const int64_t used = w_.end_input(w_.out);
    if (w_.stride == 1) {
      kernels<T>().copy_rows(rows, used, x, w_.in, nullptr, T{1}, to + w_.padding, row_size());
    } else if (w_.stride == 2) {
      T* first = to + w_.padding % 2 * pitch_ + w_.padding / 2;
      T* second = to + (w_.padding + 1) % 2 * pitch_ + (w_.padding + 1) / 2;
      kernels<T>().deinterleave_rows(rows, used, x, w_.in, first, second, row_size());
    } else {
      for (int64_t k = 0; k < w_.kernel; ++k) copy_cell(rows, k, x, to + k * pitch_);
    }
  }

 private:
  void copy_cell(int64_t rows, int64_t k, const T* x, T* to) const {
    const int64_t base = k * w_.dilation - w_.padding;
    const int64_t begin = base >= 0 ? 0 : ceil_div(-base, w_.stride);
    const int64_t end = w_.in <= base ? 0 : std::min(w_.out, ceil_div(w_.in - base, w_.stride));
    for (int64_t r = 0; r < rows; ++r, x += w_.in, to += row_size()) {
      for (int64_t o = begin; o < end; ++o) to[o] = x[o * w_.stride + base];
    }
  }

  PoolDim w_;
  int64_t count_;
  int64_t pitch_;
};

// Calls fn(const TapRows<T>&) for all output rows of all planes of x [planes, d, h, w], in
// parallel.
template <class T, class Fn>
void for_each_tap_rows(const PoolGeometry& g, const T* x, T padding_value, Fn&& fn) {
  const RowSlots<T> slots(g.w);
  const int64_t reach_h = (g.h.kernel - 1) * g.h.dilation + 1;
  const int64_t row_bytes = slots.row_size() * g.d.kernel * static_cast<int64_t>(sizeof(T));
  const int64_t band = std::clamp<int64_t>(
      (band_rows(g, sizeof(T), row_bytes, reach_h) - reach_h) / g.h.stride + 1, 1, g.h.out);
  const int64_t band_in = (band - 1) * g.h.stride + reach_h;
  const int64_t bands = ceil_div(g.h.out, band);
  const int64_t work = band * g.w.out * g.cells();
  parallel_for(
      g.planes * g.d.out * bands, ceil_div(kPoolGrain, work), [&](int64_t begin, int64_t end) {
        Scratch scratch;
        const int64_t slice_size = band_in * slots.row_size();
        T* copies = scratch.get<T>(g.d.kernel * slice_size);
        std::fill_n(copies, g.d.kernel * slice_size, padding_value);
        const T* tap[kMaxCells];
        T code[kMaxCells];
        for (int64_t item = begin; item < end; ++item) {
          const int64_t plane = item / (g.d.out * bands);
          const int64_t od = item / bands % g.d.out;
          const int64_t oh0 = item % bands * band;
          const int64_t oh1 = std::min(g.h.out, oh0 + band);
          const int64_t kd0 = g.d.first_cell(od);
          const int64_t kd1 = g.d.end_cell(od);
          const int64_t ih0 = g.h.start(oh0);  // row 0 of the copies
          const int64_t first = g.h.first_input(oh0);
          for (int64_t kd = kd0; kd < kd1; ++kd) {
            const int64_t id = g.d.start(od) + kd * g.d.dilation;
            slots.copy(g.h.end_input(oh1) - first,
                       x + ((plane * g.d.in + id) * g.h.in + first) * g.w.in,
                       copies + kd * slice_size + (first - ih0) * slots.row_size());
          }
          for (int64_t oh = oh0; oh < oh1;) {
            const int64_t kh0 = g.h.first_cell(oh);
            const int64_t kh1 = g.h.end_cell(oh);
            int64_t rows = 1;
            while (oh + rows < oh1 && g.h.first_cell(oh + rows) == kh0 &&
                   g.h.end_cell(oh + rows) == kh1)
              ++rows;
            int64_t taps = 0;
            for (int64_t kd = kd0; kd < kd1; ++kd) {
              for (int64_t kh = kh0; kh < kh1; ++kh) {
                const T* row = copies + kd * slice_size +
                               (g.h.start(oh) + kh * g.h.dilation - ih0) * slots.row_size();
                for (int64_t kw = 0; kw < g.w.kernel; ++kw) {
                  tap[taps] = row + slots.cell(kw);
                  code[taps++] = static_cast<T>((kd * g.h.kernel + kh) * g.w.kernel + kw);
                }
              }
            }
            const int64_t first_cell = (kd0 * g.h.kernel + kh0) * g.w.kernel;
            fn(TapRows<T>{plane, od, oh, rows, taps, tap, g.h.stride * slots.row_size(), code,
                          first_cell});
            oh += rows;
          }
        }
      });
}

// ---- backward ----

// Which rows of dy the input rows ih, ih + stride, ... (`rows` of them, `limit` at most) belong to:
// the same cells k_h, and for each the output row of the first.
struct RowGroup {
  int64_t rows, count = 0;
  int64_t kh[kMaxCells], oh[kMaxCells];

  RowGroup(const PoolDim& h, int64_t ih, int64_t limit) : rows(limit) {
    for (int64_t k = 0; k < h.kernel; ++k) {
      const int64_t u = ih + h.padding - k * h.dilation;
      if (u % h.stride != 0) continue;
      const int64_t o = u / h.stride;
      if (o < 0) {
        rows = std::min(rows, -o);  // from there on it takes part
      } else if (o < h.out) {
        rows = std::min(rows, h.out - o);
        kh[count] = k;
        oh[count++] = o;
      }
    }
  }
};

// Kinds of rows of dx, one for each row of a stride, that take turns in one call. With longer
// strides one turn is several calls.
constexpr int64_t kMaxKinds = 8;

// The lists that spread_taps takes.
template <class T>
struct BackTaps {
  const T* dy[kMaxCells];
  const uint8_t* chosen[kMaxCells];
  uint8_t code[kMaxCells];
  int64_t count[2 * kMaxKinds];
};

// dx [planes, d, h, w] from dy in bands of rows: load(plane, od, oh, rows, to, step) puts rows of
// dy (divided, for means) into the scratch, `step` apart. chosen: the winning cells, or null if
// every cell counts.
template <class T, class Load>
class PoolBackRows {
 public:
  PoolBackRows(const PoolGeometry& g, const uint8_t* chosen, T* dx, const Load& load)
      : g_(g), chosen_(chosen), dx_(dx), load_(load) {
    const PoolDim& w = g.w;
    const int64_t width =
        std::max(w.out, (w.in - 1 + w.padding) / w.stride + 1) + kernels<T>().vec_width;
    lead_ = round_up((w.kernel - 1) * w.dilation / w.stride, 16);
    pitch_ = lead_ + round_up(width, 16);
    const int64_t row_bytes =
        pitch_ * g.d.kernel * static_cast<int64_t>(sizeof(T) + (chosen == nullptr ? 0 : 1));
    band_ = std::clamp<int64_t>(
        band_rows(g, sizeof(T), row_bytes, reach_h() / g.h.stride) * g.h.stride - reach_h(), 1,
        g.h.in);
    slice_size_ = ((band_ - 1 + reach_h()) / g.h.stride + 1) * pitch_;
    for (int64_t kw = 0; kw < w.kernel; ++kw) {
      residue_[kw] = kw * w.dilation % w.stride;
      shift_[kw] = kw * w.dilation / w.stride;
    }
  }

  void run() const {
    const int64_t bands = ceil_div(g_.h.in, band_);
    const int64_t work = ceil_div(band_ * g_.w.in * g_.cells(), g_.h.stride * g_.w.stride);
    const int64_t size = g_.d.kernel * slice_size_;
    const int64_t apart = g_.w.stride > 2 ? band_ * apart_row() : 0;
    parallel_for(g_.planes * g_.d.in * bands, ceil_div(kPoolGrain, work),
                 [&](int64_t begin, int64_t end) {
                   Scratch scratch;
                   Band b;
                   b.dy = scratch.get<T>(size);
                   b.chosen = chosen_ == nullptr ? nullptr : scratch.get<uint8_t>(size);
                   b.apart = scratch.get<T>(apart);
                   std::fill_n(b.dy, size, T{0});
                   if (b.chosen != nullptr) std::fill_n(b.chosen, size, uint8_t{0});
                   for (int64_t item = begin; item < end; ++item) {
                     load_band(item / bands, item % bands * band_, b);
                     make_band(b);
                   }
                 });
  }

 private:
  // Rows [first, end) of slice `slice` of all dx, and what they are made from.
  struct Band {
    int64_t slice, first, end;
    int64_t oh;  // of the first row of dy
    int64_t depths;
    int64_t cell[kMaxCells];  // the first of each depth
    T* dy;                    // [depths], slice_size_ apart, each of rows pitch_ apart
    uint8_t* chosen;          // as dy
    T* apart;                 // room for rows that are spread by a stride afterwards
  };

  int64_t reach_h() const { return (g_.h.kernel - 1) * g_.h.dilation; }
  int64_t apart_row() const { return ceil_div(g_.w.in, g_.w.stride); }

  void load_band(int64_t slice, int64_t first, Band& b) const {
    const PoolDim& h = g_.h;
    b.slice = slice;
    b.first = first;
    b.end = std::min(h.in, first + band_);
    b.oh = ceil_div(std::max<int64_t>(0, first + h.padding - reach_h()), h.stride);
    const int64_t rows = std::min(h.out, (b.end - 1 + h.padding) / h.stride + 1) - b.oh;
    const int64_t plane = slice / g_.d.in;
    b.depths = 0;
    for (int64_t kd = 0; kd < g_.d.kernel && rows > 0; ++kd) {
      const int64_t od = g_.d.output_reading(slice % g_.d.in, kd);
      if (od < 0) continue;
      const int64_t at = b.depths * slice_size_ + lead_;
      load_(plane, od, b.oh, rows, b.dy + at, pitch_);
      if (b.chosen != nullptr) {
        const uint8_t* from = chosen_ + ((plane * g_.d.out + od) * h.out + b.oh) * g_.w.out;
        for (int64_t r = 0; r < rows; ++r)
          std::copy_n(from + r * g_.w.out, g_.w.out, b.chosen + at + r * pitch_);
      }
      b.cell[b.depths++] = kd * h.kernel;
    }
  }

  void make_band(const Band& b) const {
    const PoolDim& h = g_.h;
    const int64_t phases = g_.w.stride == 2 ? 2 : 1;
    for (int64_t ih = b.first; ih < b.end;) {
      // Rows ih + k, ih + k + stride, ... are the same cells of their windows.
      const int64_t kinds = std::min({h.stride, kMaxKinds, b.end - ih});
      int64_t rows = kinds == h.stride ? (b.end - ih) / kinds : 1;
      for (int64_t k = 0; k < kinds; ++k) rows = RowGroup(h, ih + k, rows).rows;
      // Inputs w0, w0 + stride, ... are the same cells of their windows.
      for (int64_t w0 = 0; w0 < std::min(g_.w.stride, g_.w.in); w0 += phases)
        make_columns(b, ih, rows, kinds, w0, phases);
      ih += rows * kinds;
    }
  }

  // Columns w0, w0 + stride, ... of rows * kinds rows from ih on, or all of them as two phases.
  void make_columns(const Band& b, int64_t ih, int64_t rows, int64_t kinds, int64_t w0,
                    int64_t phases) const {
    const PoolDim& w = g_.w;
    BackTaps<T> taps;
    int64_t n = 0;
    for (int64_t kind = 0; kind < kinds; ++kind) {
      const RowGroup group(g_.h, ih + kind, rows);
      for (int64_t phase = 0; phase < phases; ++phase) {
        const int64_t before = n;
        const int64_t remainder = (w0 + phase + w.padding) % w.stride;
        const int64_t start = lead_ + (w0 + phase + w.padding) / w.stride;
        for (int64_t d = 0; d < b.depths; ++d) {
          for (int64_t k = 0; k < group.count; ++k) {
            const int64_t row = d * slice_size_ + (group.oh[k] - b.oh) * pitch_ + start;
            const int64_t cell = (b.cell[d] + group.kh[k]) * w.kernel;
            for (int64_t kw = 0; kw < w.kernel; ++kw) {
              if (residue_[kw] != remainder) continue;
              taps.dy[n] = b.dy + row - shift_[kw];
              if (b.chosen != nullptr) taps.chosen[n] = b.chosen + row - shift_[kw];
              taps.code[n++] = static_cast<uint8_t>(cell + kw);
            }
          }
        }
        taps.count[kind * phases + phase] = n - before;
      }
    }
    const auto spread = [&](int64_t count, T* y, int64_t y_step) {
      kernels<T>().spread_taps(rows, kinds, count, phases, taps.count, taps.dy, pitch_,
                               b.chosen == nullptr ? nullptr : taps.chosen, pitch_, taps.code, y,
                               y_step);
    };
    T* dx_row = dx_ + (b.slice * g_.h.in + ih) * w.in;
    if (w.stride <= 2) return spread(w.in, dx_row, w.in);
    const int64_t count = ceil_div(w.in - w0, w.stride);
    spread(count, b.apart, apart_row());
    for (int64_t r = 0; r < rows * kinds; ++r) {
      T* row = dx_row + r * w.in + w0;
      for (int64_t m = 0; m < count; ++m) row[m * w.stride] = b.apart[r * apart_row() + m];
    }
  }

  const PoolGeometry& g_;
  const uint8_t* chosen_;
  T* dx_;
  const Load& load_;
  int64_t lead_, pitch_;        // zeros before a row of dy, and its elements with those behind
  int64_t band_;                // rows of dx made at a time
  int64_t slice_size_;          // of the rows of dy of one depth
  int64_t residue_[kMaxCells];  // of each k_w: where its inputs lie modulo the stride
  int64_t shift_[kMaxCells];    // and divided by it
};

template <class T, class Load>
void pool_back_by_rows(const PoolGeometry& g, const uint8_t* chosen, T* dx, const Load& load) {
  PoolBackRows<T, Load>(g, chosen, dx, load).run();
}

}  // namespace laminae
