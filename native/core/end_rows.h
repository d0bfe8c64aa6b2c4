// The ending of results that have been written.
#pragma once
#include <cstdint>

#include "core/ending.h"
#include "core/kernels.h"
#include "core/parallel.h"

namespace laminae {

// The ending of `rows` rows of n results, `step` apart, the first at `at`; `y`: all results.
template <class T>
inline void end_rows(const Ending& ending, int64_t rows, int64_t n, const T* y, T* at,
                     int64_t step) {
  if (!ending.is_any()) return;
  const T* add = ending.add == nullptr ? nullptr : static_cast<const T*>(ending.add) + (at - y);
  kernels<T>().end_rows(rows, n, add, static_cast<T>(ending.low), static_cast<T>(ending.high), at,
                        step);
}

// The ending of all `count` results as a pass of its own.
template <class T>
inline void end_all(const Ending& ending, int64_t count, T* y) {
  if (!ending.is_any()) return;
  parallel_for(count, kElementGrain, [&](int64_t begin, int64_t end) {
    end_rows(ending, 1, end - begin, y, y + begin, 0);
  });
}

}  // namespace laminae
