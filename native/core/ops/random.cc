// random: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
//
// Counter-based: block b of the stream (seed) is a pure function of b, so any thread can make any
// part. Element i takes the two words w[2j], w[2j+1] of block (offset + i) / 2, j = (offset + i) %
// 2: 53 bits for a double, 24 for a float. Normal numbers: Box-Muller over the element's own two
// words in double.
#include <cmath>

#include "core/op.h"
#include "core/parallel.h"

namespace laminae {

namespace {

struct Words {
  uint32_t w[4];
};

Words philox(uint64_t seed, uint64_t block) {
  uint32_t c[4] = {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0};
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1;
    c[0] = n0;
    c[1] = static_cast<uint32_t>(p1);
    c[2] = n2;
    c[3] = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

enum class RandomKind : int64_t { kUniform, kNormal, kBernoulli };

// [0, 1) with as many bits as T has, so that it never rounds up to 1.
template <class T>
T unit(uint32_t high, uint32_t low);
template <>
float unit<float>(uint32_t high, uint32_t) {
  return static_cast<float>(high >> 8) * 0x1p-24f;
}
template <>
double unit<double>(uint32_t high, uint32_t low) {
  return static_cast<double>((uint64_t{high} << 21) ^ (low >> 11)) * 0x1p-53;
}

constexpr double kTwoPi = 6.283185307179586476925286766559;

template <class T>
T draw(RandomKind kind, uint32_t high, uint32_t low, T a, T b) {
  switch (kind) {
    case RandomKind::kUniform: {
      const T v = a + unit<T>(high, low) * (b - a);
      return v < b || !(a < b) ? v : a;  // rounding may reach b
    }
    case RandomKind::kNormal: {
      const double u = (static_cast<double>(high) + 0.5) * 0x1p-32;
      const double angle = kTwoPi * static_cast<double>(low) * 0x1p-32;
      return static_cast<T>(a + b * (std::sqrt(-2.0 * std::log(u)) * std::cos(angle)));
    }
    case RandomKind::kBernoulli:
      break;
  }
  return unit<T>(high, low) < a ? b : T{0};
}

}  // namespace

void run_random(const random_desc& d, Call& call) {
  call.require(d.kind >= 0 && d.kind <= 2, "unknown distribution");
  call.require(d.seed >= 0 && d.offset >= 0, "seed and offset must be >= 0");
  const RandomKind kind = static_cast<RandomKind>(d.kind);
  const uint64_t seed = static_cast<uint64_t>(d.seed);
  dispatch_float(call, call.dtype(random_buf::y), [&](auto tag) {
    using T = decltype(tag);
    T* y = call.out<T>(random_buf::y, d.n);
    const T a = static_cast<T>(d.a);
    const T b = static_cast<T>(d.b);
    parallel_for(d.n, 2048, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const uint64_t at = static_cast<uint64_t>(d.offset + i);
        const Words words = philox(seed, at / 2);
        for (uint64_t j = at % 2; j < 2 && i < end; ++j, ++i)
          y[i] = draw<T>(kind, words.w[2 * j], words.w[2 * j + 1], a, b);
      }
    });
  });
}

}  // namespace laminae
