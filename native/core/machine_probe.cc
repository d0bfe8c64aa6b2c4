// Roofs of the machine, see machine_probe.h.
#include "core/machine_probe.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "core/kernels.h"
#include "core/parallel.h"

namespace laminae {
namespace {

constexpr int kStretches = 4;  // the first also wakes the threads
constexpr int64_t kMinReadBytes = int64_t{64} << 10;
constexpr int64_t kMaxReadBytes = int64_t{1} << 30;

using Clock = std::chrono::steady_clock;

// Every thread calls run(thread, rounds) once. Best seconds per round of a few stretches, each long
// enough that waking the threads does not count.
template <class Run>
double best_seconds_per_round(int threads, double seconds, Run run) {
  const auto timed = [&](int64_t rounds) {
    const Clock::time_point start = Clock::now();
    parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t thread = begin; thread < end; ++thread) run(thread, rounds);
    });
    return std::chrono::duration<double>(Clock::now() - start).count() /
           static_cast<double>(rounds);
  };
  const double stretch = seconds / kStretches;
  int64_t rounds = 1;
  double best = timed(rounds);
  while (best * static_cast<double>(rounds) < stretch / 4) {
    rounds *= 4;
    best = timed(rounds);
  }
  rounds = std::max<int64_t>(1, static_cast<int64_t>(stretch / best));
  for (int i = 0; i < kStretches; ++i) best = std::min(best, timed(rounds));
  return best;
}

}  // namespace

double probe_fma(double seconds) {
  constexpr int64_t kIterations = 2000;
  const KernelTable<float>& k = kernels<float>();
  const int threads = num_threads();
  const double per_round = best_seconds_per_round(threads, seconds, [&](int64_t, int64_t rounds) {
    volatile float sink = k.fma_peak(kIterations * rounds);
    static_cast<void>(sink);
  });
  return static_cast<double>(threads) * static_cast<double>(kIterations) * k.fma_peak_flops /
         per_round;
}

double probe_read(int64_t bytes, double seconds) {
  if (bytes < kMinReadBytes || bytes > kMaxReadBytes) {
    throw std::invalid_argument("probe_read: bytes must be in 64 KiB .. 1 GiB");
  }
  static std::mutex mutex;
  static std::vector<float> buffer;
  std::lock_guard<std::mutex> lock(mutex);
  const int64_t count = bytes / static_cast<int64_t>(sizeof(float));
  if (static_cast<int64_t>(buffer.size()) < count) buffer.resize(static_cast<size_t>(count), 1.0f);

  const KernelTable<float>& k = kernels<float>();
  const int threads = num_threads();
  const int64_t share = count / threads / kCutUnit * kCutUnit;
  const double per_round =
      best_seconds_per_round(threads, seconds, [&](int64_t thread, int64_t rounds) {
        for (int64_t r = 0; r < rounds; ++r) {
          volatile float sink = k.read_stream(share, buffer.data() + thread * share);
          static_cast<void>(sink);
        }
      });
  return static_cast<double>(threads) * static_cast<double>(share) * sizeof(float) / per_round;
}

}  // namespace laminae
