// The pool as part of a process: what its threads inherit, fork, refused threads, idling, cost.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <thread>
#include <vector>

#include "core/parallel.h"
#include "core/sanitizers.h"
#include "parallel_support.h"

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sys/resource.h>
#endif

#if defined(LAMINAE_TSAN)
// The fork test starts threads in the child.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif

using laminae::parallel_for;

TEST_CASE("workers use the default floating point environment") {
  const Threads setting(2);
  laminae::stop_pool();
  std::fesetround(FE_UPWARD);
  std::atomic<int> worker_mode{-1};
  const auto caller = std::this_thread::get_id();
  for (int round = 0; round < 20 && worker_mode == -1; ++round) {
    parallel_for(2, 1, [&](int64_t, int64_t) {
      if (std::this_thread::get_id() != caller) worker_mode = std::fegetround();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    });
  }
  std::fesetround(FE_TONEAREST);
  CHECK(worker_mode == FE_TONEAREST);
}

#if !defined(_WIN32)
TEST_CASE("workers block every signal, the caller's mask is unchanged") {
  const Threads setting(2);
  laminae::stop_pool();
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  std::atomic<int> blocked{-1};
  const auto caller = std::this_thread::get_id();
  for (int round = 0; round < 20 && blocked == -1; ++round) {
    parallel_for(2, 1, [&](int64_t, int64_t) {
      if (std::this_thread::get_id() != caller) {
        sigset_t mine;
        pthread_sigmask(SIG_SETMASK, nullptr, &mine);
        blocked = sigismember(&mine, SIGTERM) && sigismember(&mine, SIGINT) &&
                  sigismember(&mine, SIGUSR1) && sigismember(&mine, SIGPROF);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    });
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  CHECK(blocked == 1);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGPROF}) {
    CHECK(sigismember(&before, signal) == sigismember(&after, signal));
  }
}

TEST_CASE("a forked child has a pool of its own, the parent keeps its pool") {
  const Threads setting(3);
  REQUIRE(sum_in_parallel(1000) == kSumTo1000);
  for (const bool busy : {false, true}) {
    // The other thread allocates nothing while the process forks: the allocator of a sanitizer does
    // not release its locks in the child.
    std::atomic<bool> running{false}, stop{false};
    std::thread other;
    if (busy) {
      other = std::thread([&] {
        std::vector<int64_t> values(1000);
        while (!stop) {
          sum_in_parallel(values);
          running = true;
        }
      });
      while (!running) std::this_thread::yield();
    }
    for (int round = 0; round < 5; ++round) {
      const pid_t child = fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        const bool absent = laminae::pool_size() == 0;
        const bool right = sum_in_parallel(1000) == kSumTo1000;
        _exit(absent && right && laminae::pool_size() >= 2 ? 0 : 1);
      }
      int status = -1;
      REQUIRE(waitpid(child, &status, 0) == child);
      CHECK(WIFEXITED(status));
      CHECK(WEXITSTATUS(status) == 0);
    }
    stop = true;
    if (other.joinable()) other.join();
    CHECK(sum_in_parallel(1000) == kSumTo1000);
  }
}
#endif

#if defined(__linux__)
#if !defined(LAMINAE_ASAN) && !defined(LAMINAE_TSAN)
// A child whose address space is full: few stacks for threads can be had.
TEST_CASE("with fewer threads than wanted, regions still run every range") {
  const Threads setting(64);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const auto bytes = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE)) + (1 << 20);
    const rlimit limit{bytes, bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
    const bool right = sum_in_parallel(1000) == kSumTo1000 && sum_in_parallel(1000) == kSumTo1000;
    _exit(right && laminae::pool_size() < 63 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif

TEST_CASE("an idle pool uses no CPU") {
  const Threads setting(4);
  CHECK(sum_in_parallel(1000) == kSumTo1000);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto cpu_microseconds = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
  };
  const long before = cpu_microseconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(cpu_microseconds() - before < 30000);
}
#endif

TEST_CASE("cost of a region (printed)") {
  const Threads setting(2);
  using Clock = std::chrono::steady_clock;
  const auto median_nanoseconds = [](int rounds, int regions, std::chrono::microseconds pause,
                                     auto&& body) {
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
      const auto start = Clock::now();
      for (int i = 0; i < regions; ++i) parallel_for(2, 1, body);
      const std::chrono::duration<double, std::nano> time = Clock::now() - start;
      times.push_back(time.count() / regions);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  };
  // With a body that does nothing the caller takes the other range back before the worker sees it.
  // Only for this measurement the caller's range waits for the worker's, so that one hand-over to
  // the worker and one back are in the time.
  std::atomic<int> arrived{0};
  const auto nothing = [](int64_t, int64_t) {};
  const auto hand_over = [&](int64_t begin, int64_t) {
    if (begin == 1) {
      arrived.store(1, std::memory_order_release);
    } else {
      while (arrived.load(std::memory_order_acquire) == 0) {
      }
      arrived.store(0, std::memory_order_relaxed);
    }
  };
  const std::chrono::microseconds none(0), long_enough(2000);
  const double taken_back = median_nanoseconds(50, 200, none, nothing);
  const double hot = median_nanoseconds(50, 200, none, hand_over);
  const double parked = median_nanoseconds(50, 1, long_enough, hand_over);
  const double parked_taken_back = median_nanoseconds(50, 1, long_enough, nothing);
  std::printf("region on 2 threads, ns: hot %.0f, parked %.0f; taken back %.0f, parked %.0f\n", hot,
              parked, taken_back, parked_taken_back);
  CHECK(arrived == 0);
}
