// parallel_for, parallel_stream and parallel_chunks: every index once, for any number of threads,
// callers and faults.
#include "core/parallel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "parallel_support.h"

using laminae::parallel_chunks;
using laminae::parallel_for;
using laminae::parallel_stream;

namespace {

using Ranges = std::vector<std::pair<int64_t, int64_t>>;

// The ranges that a call used, in ascending order.
Ranges ranges_of(int64_t count, int64_t grain) {
  std::mutex mutex;
  Ranges ranges;
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    std::lock_guard<std::mutex> lock(mutex);
    ranges.emplace_back(begin, end);
  });
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

}  // namespace

TEST_CASE("parallel_for covers every index exactly once with few non-empty ranges") {
  for (const int threads : {1, 2, 3, 7, 16}) {
    const Threads setting(threads);
    for (const int64_t count : {0, 1, 2, 3, 5, 16, 63, 64, 65, 127, 128, 129, 1000, 4097}) {
      for (const int64_t grain : {-1, 0, 1, 2, 7, 63, 64, 65, 1000, 5000}) {
        CAPTURE(threads);
        CAPTURE(count);
        CAPTURE(grain);
        const Ranges ranges = ranges_of(count, grain);
        const int64_t least = grain < 1 ? 1 : grain;
        CHECK(static_cast<int64_t>(ranges.size()) <= (count + least - 1) / least);
        CHECK(static_cast<int>(ranges.size()) <= threads);
        int64_t next = 0;
        for (const auto& range : ranges) {
          CHECK(range.first == next);
          CHECK(range.second > range.first);
          if (least >= laminae::kCutUnit) CHECK(range.first % laminae::kCutUnit == 0);
          next = range.second;
        }
        CHECK(next == (count > 0 ? count : 0));
      }
    }
  }
}

TEST_CASE("ranges of huge counts do not overflow") {
  const Threads setting(3);
  for (const int64_t grain : {int64_t{1}, int64_t{64}, INT64_MAX / 2, INT64_MAX}) {
    CAPTURE(grain);
    const Ranges ranges = ranges_of(INT64_MAX, grain);
    int64_t next = 0;
    for (const auto& range : ranges) {
      CHECK(range.first == next);
      next = range.second;
    }
    CHECK(next == INT64_MAX);
  }
}

TEST_CASE("ranges are of nearly equal length") {
  const Threads setting(4);
  for (const auto& range : ranges_of(1002, 1)) {
    const int64_t length = range.second - range.first;
    CHECK((length == 250 || length == 251));
  }
}

TEST_CASE("parallel_stream covers every index exactly once, every second time backward") {
  constexpr int64_t kBlock = laminae::kStreamBlock;
  for (const int threads : {1, 2, 3}) {
    const Threads setting(threads);
    for (const int64_t count : {int64_t{5}, 4 * kBlock - 1, 4 * kBlock, 5 * kBlock + 77}) {
      int backward = 0;
      for (int call = 0; call < 4; ++call) {
        CAPTURE(threads);
        CAPTURE(count);
        std::mutex mutex;
        Ranges ranges;  // of each thread in the order of its calls
        parallel_stream(count, 32768, [&](int64_t begin, int64_t end) {
          std::lock_guard<std::mutex> lock(mutex);
          ranges.emplace_back(begin, end);
        });
        if (threads == 1 && ranges.size() > 1) {
          ++backward;
          CHECK(ranges.front().second == count);
        }
        std::sort(ranges.begin(), ranges.end());
        int64_t next = 0;
        for (const auto& range : ranges) {
          CHECK(range.first == next);
          CHECK(range.second > range.first);
          CHECK(range.first % laminae::kCutUnit == 0);
          next = range.second;
        }
        CHECK(next == count);
      }
      if (threads == 1) CHECK(backward == (count < 4 * kBlock ? 0 : 2));
    }
  }
}

TEST_CASE("parallel_chunks runs every chunk exactly once") {
  for (const int threads : {1, 2, 5}) {
    const Threads setting(threads);
    for (const int64_t chunks : {-3, 0, 1, 2, 3, 17, 1000}) {
      CAPTURE(threads);
      CAPTURE(chunks);
      std::vector<std::atomic<int>> runs(1000);
      std::atomic<int> total{0};
      parallel_chunks(chunks, [&](int64_t chunk) {
        ++runs[static_cast<size_t>(chunk)];
        ++total;
      });
      for (int64_t i = 0; i < 1000; ++i) {
        CHECK(runs[static_cast<size_t>(i)] == (i < chunks ? 1 : 0));
      }
      CHECK(total == (chunks > 0 ? chunks : 0));
    }
  }
}

TEST_CASE("a region with enough work runs on several threads") {
  const Threads setting(2);
  std::mutex mutex;
  std::vector<std::thread::id> ids;
  // Long enough for a parked thread to arrive before the caller takes its range back.
  parallel_for(2, 1, [&](int64_t, int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    std::lock_guard<std::mutex> lock(mutex);
    ids.push_back(std::this_thread::get_id());
  });
  REQUIRE(ids.size() == 2);
  const bool distinct = ids[0] != ids[1];
  CHECK(distinct);
  CHECK(laminae::pool_size() >= 1);
}

TEST_CASE("the exception of the lowest range reaches the caller after all ranges have run") {
  for (const int threads : {1, 2, 4}) {
    const Threads setting(threads);
    for (int round = 0; round < 50; ++round) {
      std::atomic<int> ran{0};
      std::string text;
      try {
        parallel_for(threads, 1, [&](int64_t begin, int64_t) {
          ++ran;
          if (threads == 1 || begin >= 1) throw std::runtime_error(std::to_string(begin));
        });
      } catch (const std::runtime_error& error) {
        text = error.what();
      }
      CHECK(text == (threads == 1 ? "0" : "1"));
      CHECK(ran == threads);
    }
    CHECK(sum_in_parallel(1000) == kSumTo1000);
  }
}

TEST_CASE("an exception in the caller's own range is rethrown, and so is one of a chunk") {
  const Threads setting(3);
  CHECK_THROWS_AS(parallel_for(3, 1,
                               [](int64_t begin, int64_t) {
                                 if (begin == 0) throw std::bad_alloc();
                               }),
                  std::bad_alloc);
  CHECK_THROWS_AS(parallel_chunks(100,
                                  [](int64_t chunk) {
                                    if (chunk == 57) throw std::length_error("57");
                                  }),
                  std::length_error);
  CHECK(sum_in_parallel(1000) == kSumTo1000);
}

TEST_CASE("a call inside a body runs inline, a call inside an inline body does not have to") {
  const Threads setting(4);
  std::atomic<int> outer{0}, inner{0};
  std::atomic<bool> one_range{true};
  parallel_for(4, 1, [&](int64_t begin, int64_t end) {
    outer += static_cast<int>(end - begin);
    parallel_for(100, 1, [&](int64_t b, int64_t e) {
      if (b != 0 || e != 100) one_range = false;
      inner += static_cast<int>(e - b);
    });
  });
  CHECK(outer == 4);
  CHECK(inner % 100 == 0);
  CHECK(one_range);

  // One image: the loop over images is inline, so the rows of the image may use the pool.
  std::atomic<int> ranges{0};
  parallel_for(1, 1,
               [&](int64_t, int64_t) { parallel_for(4, 1, [&](int64_t, int64_t) { ++ranges; }); });
  CHECK(ranges == 4);
}

TEST_CASE("several callers at once share the pool") {
  const Threads setting(3);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&, c] {
      for (int round = 0; round < 300; ++round) {
        if (round % 50 == 10 * c) std::this_thread::sleep_for(std::chrono::microseconds(300));
        if (sum_in_parallel(1000) != kSumTo1000) ++wrong;
        std::atomic<int64_t> sum{0};
        parallel_chunks(20, [&](int64_t chunk) { sum += chunk; });
        if (sum != 190) ++wrong;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("set_num_threads: limits, previous value, changes under load") {
  const int before = laminae::num_threads();
  CHECK(before >= 1);
  CHECK(laminae::set_num_threads(5) == before);
  CHECK(laminae::num_threads() == 5);
  for (const int bad : {0, -1, 257, INT32_MAX, INT32_MIN}) {
    CHECK_THROWS_AS(laminae::set_num_threads(bad), std::invalid_argument);
    CHECK(laminae::num_threads() == 5);
  }
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int n = 1; !stop; n = n % 6 + 1) laminae::set_num_threads(n);
  });
  int wrong = 0;
  for (int round = 0; round < 500; ++round) wrong += sum_in_parallel(1000) != kSumTo1000;
  stop = true;
  changer.join();
  CHECK(wrong == 0);
  laminae::set_num_threads(before);
}

TEST_CASE("stop_pool ends the threads, the next region starts them again") {
  const Threads setting(3);
  for (int round = 0; round < 20; ++round) {
    CHECK(sum_in_parallel(1000) == kSumTo1000);
    CHECK(laminae::pool_size() >= 2);
    if (round % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // parked
    laminae::stop_pool();
    CHECK(laminae::pool_size() == 0);
  }
  laminae::stop_pool();
  CHECK_THROWS_AS(parallel_for(3, 1, [](int64_t, int64_t) { laminae::stop_pool(); }),
                  std::logic_error);
}

TEST_CASE("LAMINAE_THREADS: an integer from 1 to 256, else the default and a message") {
  using laminae::detail::read_threads_setting;
  for (const auto& good : {std::pair<const char*, int>{"1", 1}, {"256", 256}, {"007", 7}}) {
    CHECK(read_threads_setting(good.first, 3).threads == good.second);
    CHECK(read_threads_setting(good.first, 3).error == "");
  }
  for (const char* absent : {static_cast<const char*>(nullptr), ""}) {
    CHECK(read_threads_setting(absent, 3).threads == 3);
    CHECK(read_threads_setting(absent, 3).error == "");
  }
  for (const char* bad :
       {"0", "257", "-1", "+1", "1.5", "two", "2 ", " 2", "0x2", "99999999999999999999999"}) {
    CAPTURE(bad);
    CHECK(read_threads_setting(bad, 3).threads == 3);
    CHECK(read_threads_setting(bad, 3).error ==
          std::string("LAMINAE_THREADS must be an integer from 1 to 256, got \"") + bad + "\"");
  }
}
