// The thread pool behind parallel_for.
//
// Each worker has a slot: one word of state and, on the same cache lines, the work to do. All
// hand-over goes through that word, so each transition is one atomic operation and there are no
// windows between two flags:
//
//   kIdle    -> kPosted   caller     the work fields are valid
//   kPosted  -> kRunning  worker     the worker owns the work fields
//   kPosted  -> kIdle     caller     taken back: the worker was late, the caller runs the slice
//   kRunning -> kIdle     worker     done
//   kRunning -> kAwaited  caller     the caller goes to sleep until the slice is done
//   kAwaited -> kIdle     worker     done; wake the caller
//   kIdle    -> kParked   worker     nothing came within the spin budget: sleep
//   kParked  -> kPosted   caller     wake the worker
//   (any)    -> kStopped  caller     end of the pool
//
// Only the holder of `region_lock` is "the caller". The pool is never destroyed at exit: joining in
// a static destructor deadlocks when the process ends from a worker.
#include "core/parallel.h"

#include <algorithm>
#include <cerrno>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif

#include "core/cpu_count.h"

namespace laminae {
namespace {

using Clock = std::chrono::steady_clock;

enum State : uint32_t { kIdle, kPosted, kRunning, kAwaited, kParked, kStopped };

struct alignas(kCacheLines) Slot {
  std::atomic<uint32_t> state{kIdle};
  int index = 0;
  bool spin = true;   // look for work before sleeping
  bool wake = false;  // the worker was parked when the work was posted
  detail::SliceBody body = nullptr;
  void* context = nullptr;
  std::exception_ptr error;  // of the last slice
  // Touched only to sleep and to wake: by the worker in kParked, by the caller in kAwaited.
  alignas(kCacheLines) std::mutex mutex;
  std::condition_variable changed;
  std::thread thread;
};

struct Pool {
  std::vector<std::unique_ptr<Slot>> slots;
  bool can_grow = true;  // false once the system has refused a thread
};

// All zero-initialised and without destructors. The pool is guarded by region_lock.
std::atomic<bool> region_lock{false};
std::atomic<int> thread_count{0};  // 0: not determined yet
std::atomic<int> worker_count{0};
Pool* pool = nullptr;
bool fork_handler_set = false;
thread_local bool in_region = false;

void pause() {
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
  _mm_pause();
#elif defined(_MSC_VER) && defined(_M_ARM64)
  __isb(_ARM64_BARRIER_SY);
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  // `yield` is a no-op on most cores; isb waits for the pipeline to drain, about as long as pause.
  asm volatile("isb" ::: "memory");
#endif
}

// Waits until done() holds, for at most the spin budget. A budget in time, not in rounds: one PAUSE
// takes 10 cycles on some CPUs and 140 on others.
template <class Done>
bool spin_until(Done done) {
  constexpr int kRoundsPerClock = 32;
  const Clock::time_point give_up = Clock::now() + std::chrono::microseconds(kSpinMicroseconds);
  do {
    for (int i = 0; i < kRoundsPerClock; ++i) {
      if (done()) return true;
      pause();
    }
  } while (Clock::now() < give_up);
  return done();
}

// Sleeps until slot.state is no longer `state`, which the caller of this has just put there.
void sleep_while(Slot& slot, uint32_t state) {
  std::unique_lock<std::mutex> lock(slot.mutex);
  slot.changed.wait(lock, [&] { return slot.state.load(std::memory_order_acquire) != state; });
}

// After a change of slot.state. Taking the mutex makes sure that the sleeper is not between its
// check and its sleep.
void wake_sleeper(Slot& slot) {
  { std::lock_guard<std::mutex> lock(slot.mutex); }
  slot.changed.notify_one();
}

void run_slice(Slot& slot) noexcept {
  try {
    slot.body(slot.context, slot.index);
  } catch (...) {
    slot.error = std::current_exception();
  }
}

// Returns when there may be work.
void wait_for_work(Slot& slot, bool spin) {
  const auto has_news = [&] { return slot.state.load(std::memory_order_acquire) != kIdle; };
  if (spin && spin_until(has_news)) return;
  uint32_t expected = kIdle;
  if (slot.state.compare_exchange_strong(expected, kParked, std::memory_order_acq_rel)) {
    sleep_while(slot, kParked);
  }
}

void worker_main(Slot& slot) {
  in_region = true;
  std::fesetenv(FE_DFL_ENV);  // a new thread inherits the rounding and denormal modes of its maker
  bool spin = true;
  while (true) {
    uint32_t state = slot.state.load(std::memory_order_acquire);
    if (state == kStopped) return;
    if (state == kPosted &&
        slot.state.compare_exchange_strong(state, kRunning, std::memory_order_acq_rel)) {
      spin = slot.spin;
      run_slice(slot);
      if (slot.state.exchange(kIdle, std::memory_order_acq_rel) == kAwaited) wake_sleeper(slot);
    }
    wait_for_work(slot, spin);
  }
}

// Threads start with the signal mask of their maker. With all signals blocked, handlers run on the
// threads of Node, never in the middle of a kernel.
class BlockSignals {
 public:
#if defined(_WIN32)
  BlockSignals() {}
#else
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_;
#endif
};

#if !defined(_WIN32)
// A forked child has only the thread that forked. The old pool is given up as it is: its mutexes
// may be held by threads that are gone.
void forget_pool_after_fork() {
  pool = nullptr;
  worker_count.store(0, std::memory_order_relaxed);
  region_lock.store(false, std::memory_order_relaxed);
}
#endif

// Makes the pool have `workers` threads if the system allows; the region runs with what there is.
void grow_pool(int workers) {
  if (pool == nullptr) {
#if !defined(_WIN32)
    if (!fork_handler_set) pthread_atfork(nullptr, nullptr, forget_pool_after_fork);
    fork_handler_set = true;
#endif
    pool = new Pool;
  }
  if (static_cast<int>(pool->slots.size()) >= workers || !pool->can_grow) return;
  BlockSignals block_signals;
  while (static_cast<int>(pool->slots.size()) < workers) {
    try {
      auto slot = std::make_unique<Slot>();
      pool->slots.reserve(pool->slots.size() + 1);
      slot->thread = std::thread(worker_main, std::ref(*slot));
      pool->slots.push_back(std::move(slot));
    } catch (const std::exception&) {  // no threads or no memory left
      pool->can_grow = false;
      break;
    }
  }
  worker_count.store(static_cast<int>(pool->slots.size()), std::memory_order_relaxed);
}

// Before use the work fields are set; afterwards the worker or a later take_back() runs them.
void post(Slot& slot) {
  slot.wake = slot.state.exchange(kPosted, std::memory_order_acq_rel) == kParked;
}

// Runs a slice here that its worker has not begun.
void take_back(Slot& slot) {
  uint32_t expected = kPosted;
  if (slot.state.compare_exchange_strong(expected, kIdle, std::memory_order_acq_rel)) {
    run_slice(slot);
  }
}

void wait_until_done(Slot& slot, bool spin) {
  const auto is_done = [&] { return slot.state.load(std::memory_order_acquire) != kRunning; };
  if (is_done() || (spin && spin_until(is_done))) return;
  uint32_t expected = kRunning;
  if (slot.state.compare_exchange_strong(expected, kAwaited, std::memory_order_acq_rel)) {
    sleep_while(slot, kAwaited);
  }
}

// After the caller's slice a worker is kPosted, kRunning, or done (kIdle, kParked).
std::exception_ptr run_region(int slices, detail::SliceBody body, void* context) {
  grow_pool(slices - 1);
  static const int cpus = available_cpus();
  // With more threads than CPUs a spinning thread keeps a working one from running.
  const bool spin = slices <= cpus;
  auto& slots = pool->slots;
  const int posted = std::min(slices - 1, static_cast<int>(slots.size()));
  for (int i = 0; i < posted; ++i) {
    Slot& slot = *slots[i];
    slot.index = i + 1;
    slot.spin = spin;
    slot.body = body;
    slot.context = context;
    post(slot);
  }
  // Only now, as waking costs microseconds: the threads that spin are at work already.
  for (int i = 0; i < posted; ++i) {
    if (slots[i]->wake) wake_sleeper(*slots[i]);
  }

  std::exception_ptr error;
  const auto run_here = [&](int index) {
    try {
      body(context, index);
    } catch (...) {
      if (!error) error = std::current_exception();
    }
  };
  run_here(0);
  for (int i = posted - 1; i >= 0; --i) take_back(*slots[i]);
  for (int i = 0; i < posted; ++i) {
    wait_until_done(*slots[i], spin);
    std::exception_ptr slot_error = std::move(slots[i]->error);
    slots[i]->error = nullptr;
    if (slot_error && !error) error = std::move(slot_error);
  }
  for (int index = posted + 1; index < slices; ++index) run_here(index);
  return error;
}

// The right to use the pool, if no other thread has it at the moment.
class RegionLock {
 public:
  RegionLock()
      : owned_(!region_lock.load(std::memory_order_relaxed) &&
               !region_lock.exchange(true, std::memory_order_acquire)) {
    if (owned_) in_region = true;
  }
  ~RegionLock() {
    if (!owned_) return;
    in_region = false;
    region_lock.store(false, std::memory_order_release);
  }
  RegionLock(const RegionLock&) = delete;
  RegionLock& operator=(const RegionLock&) = delete;
  bool owned() const { return owned_; }

 private:
  bool owned_;
};

// Never freed: it may be asked for while the process exits.
const detail::ThreadsSetting& initial_setting() {
  static const auto* const setting = new detail::ThreadsSetting(detail::read_threads_setting(
      std::getenv("LAMINAE_THREADS"), std::min(available_cores(), kMaxThreads)));
  return *setting;
}

}  // namespace

int num_threads() {
  const int count = thread_count.load(std::memory_order_relaxed);
  if (count > 0) return count;
  int expected = 0;
  const int initial = initial_setting().threads;
  return thread_count.compare_exchange_strong(expected, initial) ? initial : expected;
}

int set_num_threads(int count) {
  if (count < 1 || count > kMaxThreads) {
    throw std::invalid_argument("number of threads must be from 1 to " +
                                std::to_string(kMaxThreads) + ", got " + std::to_string(count));
  }
  num_threads();  // so that there is a previous number
  return thread_count.exchange(count);
}

const std::string& threads_setting_error() { return initial_setting().error; }

int pool_size() { return worker_count.load(std::memory_order_relaxed); }

void stop_pool() {
  if (in_region) throw std::logic_error("stop_pool() inside a parallel region");
  while (region_lock.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  if (pool != nullptr) {
    for (auto& slot : pool->slots) {
      if (slot->state.exchange(kStopped, std::memory_order_acq_rel) == kParked) {
        wake_sleeper(*slot);
      }
    }
    for (auto& slot : pool->slots) slot->thread.join();
    delete pool;
    pool = nullptr;
    worker_count.store(0, std::memory_order_relaxed);
  }
  region_lock.store(false, std::memory_order_release);
}

namespace detail {

ThreadsSetting read_threads_setting(const char* text, int otherwise) {
  if (text == nullptr || *text == '\0') return {otherwise, ""};
  int count = 0;
  for (const char* c = text; *c != '\0'; ++c) {
    const bool digit = *c >= '0' && *c <= '9';
    if (digit) count = count * 10 + (*c - '0');
    if (!digit || count > kMaxThreads) {
      count = 0;
      break;
    }
  }
  if (count > 0) return {count, ""};
  return {otherwise, "LAMINAE_THREADS must be an integer from 1 to " + std::to_string(kMaxThreads) +
                         ", got \"" + text + "\""};
}

int range_count(int64_t count, int64_t grain) {
  if (count <= grain) return 1;
  const int64_t at_most = (count - 1) / grain + 1;
  return static_cast<int>(std::min<int64_t>(at_most, num_threads()));
}

Range range_at(int64_t count, int64_t grain, int ranges, int index) {
  const int64_t unit = grain >= kCutUnit ? kCutUnit : 1;
  const int64_t units = (count - 1) / unit + 1;  // >= ranges, as unit <= grain
  const int64_t each = units / ranges;
  const int64_t longer = units % ranges;  // that many ranges have one more
  const auto cut = [&](int64_t i) { return (i * each + std::min(i, longer)) * unit; };
  return Range{cut(index), index == ranges - 1 ? count : cut(index + 1)};
}

bool try_run_slices(int slices, SliceBody body, void* context) {
  if (slices <= 1 || in_region) return false;
  std::exception_ptr error;
  {
    RegionLock lock;
    if (!lock.owned()) return false;
    error = run_region(slices, body, context);
  }
  if (error) std::rethrow_exception(error);
  return true;
}

bool next_stream_is_backward() {
  thread_local bool backward = true;
  backward = !backward;
  return backward;
}

}  // namespace detail
}  // namespace laminae
