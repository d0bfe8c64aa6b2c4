// Shared by the tests of the thread pool.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/parallel.h"

// Sets the number of threads for one test.
class Threads {
 public:
  explicit Threads(int count) : before_(laminae::set_num_threads(count)) {}
  ~Threads() { laminae::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

// 0 + 1 + ... + (values.size() - 1) with each term made in a region: right only if each index ran
// once. `values` is overwritten.
inline int64_t sum_in_parallel(std::vector<int64_t>& values) {
  std::fill(values.begin(), values.end(), 0);
  laminae::parallel_for(static_cast<int64_t>(values.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += i;
  });
  int64_t sum = 0;
  for (const int64_t v : values) sum += v;
  return sum;
}

inline int64_t sum_in_parallel(int64_t count) {
  std::vector<int64_t> values(static_cast<size_t>(count));
  return sum_in_parallel(values);
}

constexpr int64_t kSumTo1000 = 1000 * 999 / 2;
