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
#pragma once
#include <cstring>
#include <limits>

#include "core/kernels.h"
#include "core/ops/pool.h"
#include "core/parallel.h"

namespace laminae {

constexpr int64_t kMaxCells = 255;
constexpr int64_t kBandBytes = 24 * 1024;
// Work (outputs x cells) that is worth a thread.
constexpr int64_t kPoolGrain = 64 * 1024;

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

inline int64_t round_up(int64_t n, int64_t unit) { return ceil_div(n, unit) * unit; }

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

  // Copies one input row. Elements in the padding are not touched: they keep what the scratch was
  // filled with.
  void copy(const T* x, T* row) const {
    const int64_t used = w_.end_input(w_.out);
    if (w_.stride == 1) {
      std::memcpy(row + w_.padding, x, static_cast<size_t>(used) * sizeof(T));
    } else if (w_.stride == 2) {
      T* first = row + w_.padding % 2 * pitch_ + w_.padding / 2;
      T* second = row + (w_.padding + 1) % 2 * pitch_ + (w_.padding + 1) / 2;
      kernels<T>().deinterleave_row(used, x, first, second);
    } else {
      for (int64_t k = 0; k < w_.kernel; ++k) {
        const int64_t base = k * w_.dilation - w_.padding;
        const int64_t begin = base >= 0 ? 0 : ceil_div(-base, w_.stride);
        const int64_t end = w_.in <= base ? 0 : std::min(w_.out, ceil_div(w_.in - base, w_.stride));
        for (int64_t o = begin; o < end; ++o) row[k * pitch_ + o] = x[o * w_.stride + base];
      }
    }
  }

 private:
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
  const int64_t band =
      std::clamp<int64_t>((kBandBytes / row_bytes - reach_h) / g.h.stride + 1, 1, g.h.out);
  const int64_t band_in = (band - 1) * g.h.stride + reach_h;
  const int64_t bands = ceil_div(g.h.out, band);
  const int64_t work = band * g.w.out * g.cells();
  parallel_for(
      g.planes * g.d.out * bands, ceil_div(kPoolGrain, work), [&](int64_t begin, int64_t end) {
        Scratch scratch;
        const int64_t plane_size = band_in * slots.row_size();
        T* copies = scratch.get<T>(g.d.kernel * plane_size);
        std::fill_n(copies, g.d.kernel * plane_size, padding_value);
        const T* tap[kMaxCells];
        T code[kMaxCells];
        for (int64_t item = begin; item < end; ++item) {
          const int64_t plane = item / (g.d.out * bands);
          const int64_t od = item / bands % g.d.out;
          const int64_t oh0 = item % bands * band;
          const int64_t oh1 = std::min(g.h.out, oh0 + band);
          const int64_t kd0 = g.d.first_cell(od);
          const int64_t kd1 = g.d.end_cell(od);
          const int64_t ih0 = g.h.start(oh0);  // the band's row 0
          for (int64_t kd = kd0; kd < kd1; ++kd) {
            const T* slice =
                x + (plane * g.d.in + g.d.start(od) + kd * g.d.dilation) * g.h.in * g.w.in;
            for (int64_t ih = g.h.first_input(oh0); ih < g.h.end_input(oh1); ++ih) {
              slots.copy(slice + ih * g.w.in,
                         copies + kd * plane_size + (ih - ih0) * slots.row_size());
            }
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
                const T* row = copies + kd * plane_size +
                               (g.h.start(oh) + kh * g.h.dilation - ih0) * slots.row_size();
                for (int64_t kw = 0; kw < g.w.kernel; ++kw) {
                  tap[taps] = row + slots.cell(kw);
                  code[taps++] = static_cast<T>((kd * g.h.kernel + kh) * g.w.kernel + kw);
                }
              }
            }
            const int64_t first = (kd0 * g.h.kernel + kh0) * g.w.kernel;
            fn(TapRows<T>{plane, od, oh, rows, taps, tap, g.h.stride * slots.row_size(), code,
                          first});
            oh += rows;
          }
        }
      });
}

// What an input row gets back: `taps` rows of dy, each with the cell that the row is in those
// windows. Element m of the result belongs to input first + m * stride.
template <class T>
struct BackTaps {
  int64_t taps;
  const T* const* dy;
  const T* const* chosen;  // null unless rows of chosen cells were given
  const T* code;
  int64_t count;
};

// dx [planes, d, h, w] from rows of dy. load(plane, od, oh, dy_row, chosen_row) fills one row of
// w.out values; sum( const BackTaps<T>&, T* y) computes one run of dx. with_chosen: whether rows of
// chosen cells are needed.
template <class T, class Load, class Sum>
void for_each_back_row(const PoolGeometry& g, bool with_chosen, T* dx, Load&& load, Sum&& sum) {
  const PoolDim& w = g.w;
  const int64_t reach = (w.kernel - 1) * w.dilation / w.stride;
  const int64_t lead = round_up(reach, 16);
  const int64_t last = (w.in - 1 + w.padding) / w.stride;
  const int64_t pitch = lead + round_up(std::max(w.out, last + 1) + kernels<T>().vec_width, 16);
  const int64_t kinds = with_chosen ? 2 : 1;
  // Output rows that one band of input rows touches: about band / stride + reach / stride.
  const int64_t reach_h = (g.h.kernel - 1) * g.h.dilation;
  const int64_t row_bytes = pitch * kinds * g.d.kernel * static_cast<int64_t>(sizeof(T));
  const int64_t band =
      std::clamp<int64_t>(kBandBytes / row_bytes * g.h.stride - reach_h, 1, g.h.in);
  const int64_t band_out = (band - 1 + reach_h) / g.h.stride + 1;
  const int64_t bands = ceil_div(g.h.in, band);
  const int64_t work = ceil_div(band * w.in * g.cells(), g.h.stride * w.stride);
  const int64_t room = round_up(ceil_div(w.in, w.stride) + kernels<T>().vec_width, 16);
  parallel_for(g.planes * g.d.in * bands, ceil_div(kPoolGrain, work),
               [&](int64_t begin, int64_t end) {
                 Scratch scratch;
                 const int64_t slice_size = band_out * pitch;
                 T* dy_rows = scratch.get<T>(g.d.kernel * slice_size);
                 T* chosen_rows = with_chosen ? scratch.get<T>(g.d.kernel * slice_size) : nullptr;
                 T* phase[2] = {scratch.get<T>(room), scratch.get<T>(room)};
                 std::fill_n(dy_rows, g.d.kernel * slice_size, T{0});
                 if (with_chosen) std::fill_n(chosen_rows, g.d.kernel * slice_size, T{-1});
                 const T* dy_tap[kMaxCells];
                 const T* chosen_tap[kMaxCells];
                 T code[kMaxCells];
                 int64_t residue[kMaxCells],
                     shift[kMaxCells];  // of each k_w: where its inputs lie modulo the stride
                 for (int64_t kw = 0; kw < w.kernel; ++kw) {
                   residue[kw] = kw * w.dilation % w.stride;
                   shift[kw] = kw * w.dilation / w.stride;
                 }
                 for (int64_t item = begin; item < end; ++item) {
                   const int64_t plane = item / (g.d.in * bands);
                   const int64_t id = item / bands % g.d.in;
                   const int64_t ih0 = item % bands * band;
                   const int64_t ih1 = std::min(g.h.in, ih0 + band);
                   const int64_t oh0 =
                       ceil_div(std::max<int64_t>(0, ih0 + g.h.padding - reach_h), g.h.stride);
                   const int64_t oh1 = std::min(g.h.out, (ih1 - 1 + g.h.padding) / g.h.stride + 1);
                   for (int64_t kd = 0; kd < g.d.kernel; ++kd) {
                     const int64_t od = g.d.output_reading(id, kd);
                     for (int64_t oh = oh0; od >= 0 && oh < oh1; ++oh) {
                       const int64_t at = kd * slice_size + (oh - oh0) * pitch + lead;
                       load(plane, od, oh, dy_rows + at, with_chosen ? chosen_rows + at : nullptr);
                     }
                   }
                   for (int64_t ih = ih0; ih < ih1; ++ih) {
                     T* dx_row = dx + ((plane * g.d.in + id) * g.h.in + ih) * w.in;
                     // Rows of dy that the input row takes part in, and the cell with k_w = 0 that
                     // it is there.
                     int64_t rows = 0;
                     int64_t row_at[kMaxCells], row_cell[kMaxCells];
                     for (int64_t kd = 0; kd < g.d.kernel; ++kd) {
                       if (g.d.output_reading(id, kd) < 0) continue;
                       for (int64_t kh = 0; kh < g.h.kernel; ++kh) {
                         const int64_t oh = g.h.output_reading(ih, kh);
                         if (oh < 0) continue;
                         row_at[rows] = kd * slice_size + (oh - oh0) * pitch + lead;
                         row_cell[rows++] = (kd * g.h.kernel + kh) * w.kernel;
                       }
                     }
                     // Inputs w0, w0 + stride, ... are the same cells of their windows.
                     for (int64_t w0 = 0; w0 < std::min(w.stride, w.in); ++w0) {
                       const int64_t remainder = (w0 + w.padding) % w.stride;
                       const int64_t first = (w0 + w.padding) / w.stride;
                       int64_t taps = 0;
                       for (int64_t r = 0; r < rows; ++r) {
                         for (int64_t kw = 0; kw < w.kernel; ++kw) {
                           if (residue[kw] != remainder) continue;
                           const int64_t at = row_at[r] + first - shift[kw];
                           dy_tap[taps] = dy_rows + at;
                           chosen_tap[taps] = with_chosen ? chosen_rows + at : nullptr;
                           code[taps++] = static_cast<T>(row_cell[r] + kw);
                         }
                       }
                       const int64_t count = ceil_div(w.in - w0, w.stride);
                       T* y = w.stride == 1 ? dx_row : phase[w.stride == 2 ? w0 : 0];
                       if (taps == 0) {
                         std::fill_n(y, count, T{0});
                       } else {
                         sum(BackTaps<T>{taps, dy_tap, chosen_tap, code, count}, y);
                       }
                       if (w.stride > 2) {
                         for (int64_t m = 0; m < count; ++m) dx_row[w0 + m * w.stride] = y[m];
                       }
                     }
                     if (w.stride == 2)
                       kernels<T>().interleave_row(w.in, phase[0], phase[1], dx_row);
                   }
                 }
               });
}

}  // namespace laminae
