// Some lines of a plane with zeros around, as far as taps reach: code over it has no edges.
//
// Along each of the last two dimensions, positions that a stride apart lie side by side:
//
//   line l, column u  at  ((l % s1 * s2 + u % s2) * lines + l / s1) * pitch + u / s2
//
// with strides s1, s2, so that neighbouring results read neighbouring elements and lines pitch
// apart, whatever the stride. Rows may be read up to a vector behind their end.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/integer.h"
#include "core/kernels.h"
#include "core/scratch.h"
#include "core/tap_sum.h"

namespace laminae {

// One dimension: grid position g reads positions g stride + low + [0, reach) of the source.
struct StripAxis {
  int64_t source;  // elements of the source
  int64_t stride;
  int64_t low, reach;
  int64_t size;  // positions read for the whole grid

  // For grid positions [0, grid) and the taps of several sums.
  StripAxis(int64_t source_size, int64_t grid, int64_t step, const TapDim* taps, int64_t sums)
      : source(source_size), stride(grid == 1 ? 1 : step), low(0) {
    int64_t high = 0;
    bool any = false;
    for (int64_t p = 0; p < sums; ++p) {
      if (taps[p].count == 0) continue;
      const int64_t first = taps[p].offset;
      const int64_t last = first + (taps[p].count - 1) * taps[p].step;
      low = any ? std::min({low, first, last}) : std::min(first, last);
      high = any ? std::max({high, first, last}) : std::max(first, last);
      any = true;
    }
    reach = high - low + 1;
    size = (grid - 1) * stride + reach;
  }

  // Where a tap reads for the first grid position.
  int64_t position(const TapDim& t, int64_t tap) const { return t.offset + tap * t.step - low; }
};

template <class T>
class PlaneStrip {
 public:
  // Room for what `grid_lines` grid lines read.
  PlaneStrip(const StripAxis& lines, const StripAxis& columns, int64_t grid_lines)
      : lines_(lines),
        columns_(columns),
        rows_(grid_lines - 1 + ceil_div(lines.reach, lines.stride)),
        pitch_((columns.size / columns.stride + 1 + 15) / 16 * 16) {}

  int64_t size() const { return lines_.stride * columns_.stride * rows_ * pitch_; }
  int64_t pitch() const { return pitch_; }
  // Elements that may be read behind the last strip.
  static int64_t slack() { return 4 * kernels<T>().vec_width; }

  int64_t line(int64_t l) const {
    return (l % lines_.stride * columns_.stride * rows_ + l / lines_.stride) * pitch_;
  }
  int64_t column(int64_t u) const {
    return u % columns_.stride * rows_ * pitch_ + u / columns_.stride;
  }

  // Copies what grid lines from `first` on read of a plane at x (null: outside, all zeros). The
  // columns outside x are not written: fill the strip with zeros once.
  void copy(const T* x, int64_t first, T* strip) const {
    const int64_t origin = first * lines_.stride + lines_.low;  // of line 0
    for (int64_t residue = 0; residue < lines_.stride; ++residue) {
      T* to = strip + line(residue);
      // Lines origin + residue + k stride of x, those inside it.
      const int64_t start = origin + residue;
      const int64_t below = start >= 0 ? 0 : std::min(rows_, ceil_div(-start, lines_.stride));
      const int64_t inside = x == nullptr || start >= lines_.source
                                 ? below
                                 : std::min(rows_, ceil_div(lines_.source - start, lines_.stride));
      const int64_t end = std::max(below, inside);
      for (int64_t r = 0; r < columns_.stride; ++r) {
        T* block = to + column(r);
        std::fill(block, block + below * pitch_, T{0});
        std::fill(block + end * pitch_, block + rows_ * pitch_, T{0});
      }
      if (end > below) {
        const int64_t position = start + below * lines_.stride;
        copy_lines(end - below, x + position * columns_.source, to + below * pitch_);
      }
    }
  }

 private:
  void copy_lines(int64_t count, const T* x, T* to) const {
    const int64_t begin = std::max<int64_t>(0, columns_.low);
    const int64_t end = std::min(columns_.source, columns_.low + columns_.size);
    if (begin >= end) return;
    const int64_t step = lines_.stride * columns_.source;
    const int64_t at = begin - columns_.low;
    if (columns_.stride == 1) {
      kernels<T>().copy_rows(count, end - begin, x + begin, step, nullptr, T{1}, to + at, pitch_);
    } else if (columns_.stride == 2) {
      kernels<T>().deinterleave_rows(count, end - begin, x + begin, step, to + column(at),
                                     to + column(at + 1), pitch_);
    } else {
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t i = begin; i < end; ++i) {
          to[column(i - columns_.low) + r * pitch_] = x[r * step + i];
        }
      }
    }
  }

  StripAxis lines_, columns_;
  int64_t rows_;  // lines of each residue
  int64_t pitch_;
};

}  // namespace laminae
