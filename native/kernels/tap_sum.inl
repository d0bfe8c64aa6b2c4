// Packing for convolution as a matrix product: columns of the (never written) column matrix,
// straight from the image.

template <class T>
LAMINAE_INLINE void zero_row(T* to, int64_t count) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  int64_t i = 0;
  for (; i + kW <= count; i += kW) V::zero().store(to + i);
  if (i < count) V::zero().store_n(to + i, count - i);
}

template <class T>
LAMINAE_INLINE void copy_row(T* to, const T* from, int64_t count) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  int64_t i = 0;
  for (; i + kW <= count; i += kW) V::load(from + i).store(to + i);
  if (i < count) V::load_n(from + i, count - i).store_n(to + i, count - i);
}

// to[i] = from[i * step]
template <class T>
LAMINAE_INLINE void copy_row_strided(T* to, const T* from, int64_t count, int64_t step) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  if (step == 1) {
    copy_row(to, from, count);
    return;
  }
  int64_t i = 0;
  if (step == 2) {
    for (; i + kW < count; i += kW) {  // < : the second load ends one past the last element read
      V even, odd;
      deinterleave(V::load(from + 2 * i), V::load(from + 2 * i + kW), even, odd);
      even.store(to + i);
    }
    const int64_t left = 2 * (count - i) - 1;  // elements to read
    if (left <= 0) return;
    const int64_t first = left < kW ? left : kW;
    V even, odd;
    deinterleave(V::load_n(from + 2 * i, first), V::load_n(from + 2 * i + first, left - first),
                 even, odd);
    even.store_n(to + i, count - i);
    return;
  }
  for (; i < count; i++) to[i] = from[i * step];
}

// to[i] = row[first + i * step], zero where that is outside [0, size)
template <class T>
LAMINAE_INLINE void copy_row_clipped(T* to, const T* row, int64_t size, int64_t first,
                                     int64_t count, int64_t step) {
  if (first >= 0 && first + (count - 1) * step < size) {
    copy_row_strided(to, row + first, count, step);
    return;
  }
  int64_t low = 0;
  int64_t high = 0;
  if (step == 1) {
    low = first < 0 ? -first : 0;
    high = size - first < count ? size - first : count;
  } else {
    low = first < 0 ? (-first + step - 1) / step : 0;
    high = first < size ? (size - first + step - 1) / step : 0;
    if (high > count) high = count;
  }
  zero_row(to, count);
  if (low < high) copy_row_strided(to + low, row + first + low * step, high - low, step);
}

// pack_taps for a single tap.
template <class T>
void pack_tap(const TapSum& s, const T* x, int64_t run_count, const TapRun* runs, T* panel) {
  constexpr int64_t kNr = GemmTile<T>::kNr;
  const int64_t plane = s.x_size[0] * s.x_size[1] * s.x_size[2];
  for (int64_t i = 0; i < run_count; i++) {
    const TapRun& run = runs[i];
    const int64_t p0 = run.at[0] + s.taps[0].offset;
    const int64_t p1 = run.at[1] + s.taps[1].offset;
    const int64_t first = run.at[2] + s.taps[2].offset;
    const bool inside = p0 >= 0 && p0 < s.x_size[0] && p1 >= 0 && p1 < s.x_size[1];
    const T* row = inside ? x + run.image + (p0 * s.x_size[1] + p1) * s.x_size[2] : x;
    const int64_t size = inside ? s.x_size[2] : 0;
    const int64_t step = inside ? plane : 0;
    T* to = panel + run.column;
    for (int64_t c = 0; c < s.channels; c++) {
      copy_row_clipped(to, row, size, first, run.count, s.stride[2]);
      row += step;
      to += kNr;
    }
  }
}

// panel[k][column] = x at (channel, tap) k of the runs' positions, k = channel-major, taps in
// order; x points to the first channel of image 0. A run outside the image gives zeros.
template <class T>
void pack_taps(const TapSum& s, const T* x, int64_t run_count, const TapRun* runs, T* panel) {
  constexpr int64_t kNr = GemmTile<T>::kNr;
  const int64_t row_size = s.x_size[2];
  const int64_t taps = s.taps[2].count;
  if (s.tap_count() == 1) {
    pack_tap(s, x, run_count, runs, panel);
    return;
  }
  for (int64_t c = 0; c < s.channels; c++) {
    for (int64_t t0 = 0; t0 < s.taps[0].count; t0++) {
      const int64_t d0 = s.taps[0].offset + t0 * s.taps[0].step;
      for (int64_t t1 = 0; t1 < s.taps[1].count; t1++) {
        const int64_t d1 = s.taps[1].offset + t1 * s.taps[1].step;
        for (int64_t i = 0; i < run_count; i++) {
          const TapRun& run = runs[i];
          const int64_t p0 = run.at[0] + d0;
          const int64_t p1 = run.at[1] + d1;
          const bool inside = p0 >= 0 && p0 < s.x_size[0] && p1 >= 0 && p1 < s.x_size[1];
          const T* row =
              inside ? x + run.image + ((c * s.x_size[0] + p0) * s.x_size[1] + p1) * row_size : x;
          const int64_t size = inside ? row_size : 0;
          T* to = panel + run.column;
          for (int64_t t2 = 0; t2 < taps; t2++) {
            const int64_t first = run.at[2] + s.taps[2].offset + t2 * s.taps[2].step;
            copy_row_clipped(to, row, size, first, run.count, s.stride[2]);
            to += kNr;
          }
        }
        panel += taps * kNr;
      }
    }
  }
}
