// What the machine can do at best, measured with the same instructions as the kernels. Benchmarks
// run these in their own process and quote ratios, because clocks drift between runs.

constexpr int kPeakAccumulators = 12;  // latency 4-5 times 2 pipes, and two to spare

// Floating-point operations of one iteration of fma_peak: a multiply and an add per lane.
template <class T>
constexpr double kFmaPeakFlops = 2.0 * Vec<T>::kWidth* kPeakAccumulators;

// iters * fma_peak_flops operations on registers only.
template <class T>
T fma_peak(int64_t iters) {
  using V = Vec<T>;
  volatile T seed = T(0.5);  // volatile: unknown values, so nothing folds
  const V x = V::set1(seed);
  const V y = V::set1(seed);
  V acc[kPeakAccumulators];
  LAMINAE_UNROLL for (int i = 0; i < kPeakAccumulators; i++) acc[i] = V::set1(seed);
  for (int64_t t = 0; t < iters; t++) {
    LAMINAE_UNROLL for (int i = 0; i < kPeakAccumulators; i++) acc[i] = fma(acc[i], x, y);
  }
  LAMINAE_UNROLL for (int i = 1; i < kPeakAccumulators; i++) acc[0] = acc[0] + acc[i];
  return reduce_add(acc[0]);
}

// Reads p[0, n) once (up to a remainder of less than 8 vectors) and returns the sum.
template <class T>
T read_stream(int64_t n, const T* p) {
  using V = Vec<T>;
  constexpr int kUnroll = 8;
  V s[kUnroll];
  LAMINAE_UNROLL for (int u = 0; u < kUnroll; u++) s[u] = V::zero();
  for (int64_t i = 0; i + kUnroll * V::kWidth <= n; i += kUnroll * V::kWidth) {
    LAMINAE_UNROLL for (int u = 0; u < kUnroll; u++) s[u] = s[u] + V::load(p + i + u * V::kWidth);
  }
  LAMINAE_UNROLL for (int u = 1; u < kUnroll; u++) s[0] = s[0] + s[u];
  return reduce_add(s[0]);
}
