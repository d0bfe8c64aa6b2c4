// What the kernel tests share: random data, buffers between guard pages, every kernel table of the
// machine, distances in units in the last place.
#ifndef LAMINAE_TEST_NATIVE_KERNEL_SUPPORT_H_
#define LAMINAE_TEST_NATIVE_KERNEL_SUPPORT_H_

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <vector>

#if !defined(_WIN32)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "core/cpu.h"
#include "core/kernels.h"
#include "core/sanitizers.h"

namespace laminae_test {

// A small linear congruential generator: the same numbers everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint32_t bits() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 32);
  }
  double uniform(double low, double high) { return low + (high - low) * bits() / 4294967296.0; }
  int64_t integer(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
  }

 private:
  uint64_t state_;
};

// Sanitizers look for other things than wrong results, and take several times as long.
#if defined(LAMINAE_ASAN) || defined(LAMINAE_TSAN)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// Numbers of threads whose results are to be the same bits: 1 to `most`; sanitized one of them,
// each in its turn.
inline std::vector<int> thread_counts(int most = 3) {
  static int turn = 0;
  if (kSanitized) return {turn++ % most + 1};
  std::vector<int> counts;
  for (int count = 1; count <= most; ++count) counts.push_back(count);
  return counts;
}

// How many cases to draw at random.
inline int random_cases(int count) { return kSanitized ? count / 2 : count; }

// Where the elements of a GuardedBuffer lie: touching the unreadable page after them, or the one
// before them. A kernel that reads or writes past that side stops the test with a signal.
enum class Touch { end, start };

template <class T>
class GuardedBuffer {
 public:
  explicit GuardedBuffer(int64_t count, Touch touch = Touch::end) : count_(count) {
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
#if defined(_WIN32)
    (void)touch;
    base_ = ::operator new(bytes + 1);
    data_ = static_cast<T*>(base_);
#else
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = (bytes + page - 1) / page * page;
    mapped_ = inner + 2 * page;
    base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    char* first = static_cast<char*>(base_) + page;
    mprotect(base_, page, PROT_NONE);
    mprotect(first + inner, page, PROT_NONE);
    data_ = reinterpret_cast<T*>(touch == Touch::end ? first + inner - bytes : first);
#endif
  }
  ~GuardedBuffer() {
#if defined(_WIN32)
    ::operator delete(base_);
#else
    munmap(base_, mapped_);
#endif
  }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  T* data() { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  int64_t size() const { return count_; }
  void fill(T value) {
    for (int64_t i = 0; i < count_; i++) data_[i] = value;
  }
  void randomize(Random& random, double low = -1.0, double high = 1.0) {
    for (int64_t i = 0; i < count_; i++) data_[i] = static_cast<T>(random.uniform(low, high));
  }

 private:
  int64_t count_;
  void* base_;
  size_t mapped_ = 0;
  T* data_;
};

constexpr Touch kTouches[] = {Touch::end, Touch::start};

// Calls check(table) with the float table of every ISA of this machine and with the double table.
template <class Check>
void for_each_table(Check check) {
  for (const laminae::IsaInfo* isa : laminae::available_isas()) {
    INFO("float kernels of ", std::string(isa->name));
    check(*isa->float_kernels);
  }
  INFO("double kernels");
  check(laminae::portable_double_kernels());
}

template <class T>
double epsilon() {
  return static_cast<double>(std::numeric_limits<T>::epsilon());
}

// |got - expected| in units of the last place of T at `expected`; 0 when both are NaN or equal.
template <class T>
double ulp_distance(T got, double expected) {
  const T nearest = static_cast<T>(expected);
  if (std::isnan(expected)) return std::isnan(got) ? 0.0 : HUGE_VAL;
  if (std::isinf(nearest) || std::isinf(got)) {
    if (got == nearest) return 0.0;
    // One neighbour of infinity is the largest number: treat infinity as the next step after it.
    const T largest = std::numeric_limits<T>::max();
    return std::fabs(got) == largest || std::fabs(nearest) == largest ? 1.0 : HUGE_VAL;
  }
  int exponent;
  std::frexp(expected, &exponent);
  const int lowest = std::numeric_limits<T>::min_exponent;
  if (expected == 0.0 || exponent < lowest) exponent = lowest;
  const double ulp = std::ldexp(1.0, exponent - std::numeric_limits<T>::digits);
  return std::fabs(static_cast<double>(got) - expected) / ulp;
}

// The largest difference; infinite if there is a NaN.
template <class T>
double worst_error(GuardedBuffer<T>& got, const std::vector<double>& expected) {
  double worst = 0.0;
  for (int64_t i = 0; i < got.size(); i++) {
    const double error = std::fabs(static_cast<double>(got[i]) - expected[i]);
    worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
  }
  return worst;
}

}  // namespace laminae_test

#endif  // LAMINAE_TEST_NATIVE_KERNEL_SUPPORT_H_
