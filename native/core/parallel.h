// Splitting work over the threads of one process-wide pool.
//
//   parallel_for(rows, grain, [&](int64_t begin, int64_t end) { ... });  // even work
//   parallel_stream(elements, grain, [&](int64_t begin, int64_t end) { ... });  // through memory
//   parallel_chunks(tiles, [&](int64_t tile) { ... });                   // uneven work
//
// Contract
// - parallel_for calls the body on contiguous, disjoint, non-empty ranges that cover [0, count).
//   Where the cuts are depends on the number of threads, so a body must not depend on them: it
//   computes each output inside one range and never cuts a sum at `begin` or `end`. Then results
//   are the same bits for every number of threads. A sum over everything is made over a fixed
//   number of chunks, and the caller adds those up in index order.
// - If grain >= kCutUnit, cuts are multiples of kCutUnit: threads do not share cache lines of
//   aligned data, and the remainder of a vector loop is at the end of the data only.
// - At most ceil(count / grain) ranges: grain is the least work that is worth a thread. Measured on
//   two cores of a virtual machine: handing a range to a thread that still spins and getting it
//   back takes 0.2-0.8 us; a thread that sleeps needs 50-110 us to begin, and waking it costs the
//   caller 4-30 us (then the caller most likely does the range itself). A grain of 5-20 us of work
//   is right for ops that follow one another; below that a region can only lose.
// - Run inline, as one range in the calling thread: with one thread, if count <= grain, from inside
//   a body, and while the pool serves another thread (all Node worker threads share the pool).
// - Threads that have not begun when the caller has finished its range lose theirs to the caller.
//   Bodies must not wait for one another (no barriers).
// - Exceptions: the region is completed, then the exception of the lowest range is rethrown.
// - fork: the child starts a pool of its own with its first region. Forking inside a body is not
//   supported.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <type_traits>

namespace laminae {

constexpr int kMaxThreads = 256;
constexpr int64_t kCutUnit = 64;
constexpr int kCacheLines = 128;  // bytes: two lines, as the adjacent-line prefetcher pairs them

// How long a thread without work looks for more before it sleeps. About the time that waking takes:
// long enough to bridge the JavaScript between two layers, and an idle process uses no CPU.
constexpr int kSpinMicroseconds = 100;

// The number of threads that regions use, the caller included. At first LAMINAE_THREADS if it is
// set and valid, else available_cores().
int num_threads();

// Sets it and returns the previous number. Throws std::invalid_argument outside 1..kMaxThreads. May
// be called at any time; regions that have begun keep their number.
int set_num_threads(int count);

// What is wrong with LAMINAE_THREADS; "" if nothing is. The default applies while it is wrong.
const std::string& threads_setting_error();

// Ends and joins the threads of the pool; the next region starts them again. To be called before
// this library may be unmapped. Waits for a running region; throws std::logic_error in a body.
void stop_pool();

// Number of threads in the pool, without callers: 0 before the first region.
int pool_size();

namespace detail {

struct Range {
  int64_t begin;
  int64_t end;
};

// Number of ranges for count > 0 and grain > 0, and the range of one of them.
int range_count(int64_t count, int64_t grain);
Range range_at(int64_t count, int64_t grain, int ranges, int index);

struct ThreadsSetting {
  int threads;
  std::string error;  // "" if the setting is valid or absent
};

// `text`, the value of LAMINAE_THREADS (nullptr: not set), as a number of threads; `otherwise` if
// it is absent, empty or wrong.
ThreadsSetting read_threads_setting(const char* text, int otherwise);

using SliceBody = void (*)(void* context, int index);

// Calls body(context, index) once for each index in [0, slices), on several threads. False, and
// nothing was called, if the work has to run inline.
bool try_run_slices(int slices, SliceBody body, void* context);

// True at every second call by a thread.
bool next_stream_is_backward();

}  // namespace detail

template <class F>
void parallel_for(int64_t count, int64_t grain, F&& fn) {
  if (count <= 0) return;
  struct Context {
    int64_t count, grain;
    int ranges;
    std::remove_reference_t<F>* fn;
  } context{count, grain < 1 ? 1 : grain, 1, &fn};
  context.ranges = detail::range_count(context.count, context.grain);
  const detail::SliceBody body = [](void* pointer, int index) {
    const Context& c = *static_cast<Context*>(pointer);
    const detail::Range range = detail::range_at(c.count, c.grain, c.ranges, index);
    (*c.fn)(range.begin, range.end);
  };
  if (!detail::try_run_slices(context.ranges, body, &context)) fn(int64_t{0}, count);
}

// Elements that a stream takes at a time; 16384 and 131072 gain less.
constexpr int64_t kStreamBlock = 65536;

// parallel_for for work that goes through memory once. Every second stream of the calling thread
// goes through its blocks from the last to the first: it begins with what the one before has left
// in L2. Repeated sums of 1.6 million floats gain 4-5 %, ReLU 2-4 %; four ops in a row and their
// gradients, of 300,000 floats, 9 %, on two threads 3 %.
template <class F>
void parallel_stream(int64_t count, int64_t grain, F&& fn) {
  if (count < 4 * kStreamBlock || !detail::next_stream_is_backward()) {
    parallel_for(count, grain, fn);
    return;
  }
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t to = end; to > begin;) {
      const int64_t from = std::max(begin, (to - 1) / kStreamBlock * kStreamBlock);
      fn(from, to);
      to = from;
    }
  });
}

// fn(chunk) for each chunk in [0, chunks). Chunks must be independent; which thread runs which is
// not defined. Each thread begins with a contiguous share of its own and then takes what is left of
// the others': ops that number their chunks alike find what the op before has made in the cache of
// the same core. (Two cores of a virtual machine: what the other core has just written is read at
// 40 GB/s, one's own at 100 to 220.) Costs one atomic increment per chunk.
template <class F>
void parallel_chunks(int64_t chunks, F&& fn) {
  if (chunks <= 0) return;
  struct alignas(kCacheLines) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };
  struct Context {
    Share shares[kMaxThreads];
    int count;
    std::remove_reference_t<F>* fn;
  } context;
  context.count = detail::range_count(chunks, 1);
  context.fn = &fn;
  for (int i = 0; i < context.count; ++i) {
    const detail::Range range = detail::range_at(chunks, 1, context.count, i);
    context.shares[i].next.store(range.begin, std::memory_order_relaxed);
    context.shares[i].end = range.end;
  }
  const detail::SliceBody body = [](void* pointer, int index) {
    Context& c = *static_cast<Context*>(pointer);
    for (int i = 0; i < c.count; ++i) {
      Share& share = c.shares[(index + i) % c.count];
      while (true) {
        const int64_t chunk = share.next.fetch_add(1, std::memory_order_relaxed);
        if (chunk >= share.end) break;
        (*c.fn)(chunk);
      }
    }
  };
  if (!detail::try_run_slices(context.count, body, &context)) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) fn(chunk);
  }
}

// Elements of elementwise work that are worth a thread of their own (about 10 us from L2).
constexpr int64_t kElementGrain = 32768;

// Rows of `length` elements that make one grain.
inline int64_t row_grain(int64_t length) {
  return length >= kElementGrain ? 1 : kElementGrain / (length > 0 ? length : 1);
}

}  // namespace laminae
