// Scratch memory: alignment, stack discipline, reuse, growth, placement and faults.
#include "core/scratch.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/sanitizers.h"

using laminae::Scratch;
using laminae::scratch_bytes;

namespace {

uintptr_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

// Runs on a thread of its own: an empty stack, whatever other tests have used.
template <class F>
void on_new_thread(F body) {
  std::thread thread(body);
  thread.join();
}

}  // namespace

TEST_CASE("buffers are aligned, writable and apart from each other") {
  on_new_thread([] {
    Scratch scratch;
    struct Buffer {
      unsigned char* data;
      int64_t size;
      int fill;
    };
    std::vector<Buffer> buffers;
    int fill = 1;
    for (const int64_t size :
         {1, 63, 64, 65, 4095, 4096, 5000, 100000, 1 << 20, 3 << 20, 7, 4096}) {
      auto* data = scratch.get<unsigned char>(size);
      CHECK(address(data) % 64 == 0);
      std::memset(data, fill, static_cast<size_t>(size));
      buffers.push_back({data, size, fill++});
    }
    for (const Buffer& buffer : buffers) {
      int64_t wrong = 0;
      for (int64_t i = 0; i < buffer.size; ++i) wrong += buffer.data[i] != buffer.fill;
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("a count of zero gives a pointer that is aligned and not null") {
  on_new_thread([] {
    Scratch scratch;
    const double* data = scratch.get<double>(0);
    CHECK(data != nullptr);
    CHECK(address(data) % 64 == 0);
  });
}

TEST_CASE("memory is released at the end of the scope and used again") {
  on_new_thread([] {
    Scratch outer;
    float* first = outer.get<float>(1000);
    float* inner_data = nullptr;
    {
      Scratch inner;
      inner_data = inner.get<float>(1000);
      CHECK(address(inner_data) >= address(first + 1000));
    }
    {
      Scratch inner;
      CHECK(inner.get<float>(1000) == inner_data);
    }
    CHECK(outer.get<float>(1000) == inner_data);
  });
}

TEST_CASE("the same calls need no new block the second time, and lie in one block") {
  on_new_thread([] {
    const auto use = [](std::vector<uintptr_t>* places) {
      Scratch scratch;
      for (int i = 0; i < 40; ++i) {
        auto* data = scratch.get<float>(10000 * (i % 5) + 1000 * i + 1);
        data[0] = 1;
        if (places != nullptr) places->push_back(address(data));
      }
    };
    use(nullptr);  // several blocks
    use(nullptr);  // one block
    const int64_t held = scratch_bytes();
    std::vector<uintptr_t> first, second;
    use(&first);
    use(&second);
    CHECK(scratch_bytes() == held);
    CHECK(first == second);
    CHECK(first.back() - first.front() < static_cast<uintptr_t>(held));
    for (size_t i = 1; i < first.size(); ++i) CHECK(first[i] > first[i - 1]);
  });
}

TEST_CASE("a slowly growing need makes few blocks") {
  on_new_thread([] {
    int changes = 0;
    int64_t held = scratch_bytes();
    for (int64_t size = 1 << 20; size < 2 << 20; size += 4096) {
      for (int repeat = 0; repeat < 2; ++repeat) {
        Scratch scratch;
        scratch.get<char>(size)[size - 1] = 1;
      }
      if (scratch_bytes() != held) ++changes;
      held = scratch_bytes();
    }
    CHECK(changes <= 6);
  });
}

TEST_CASE("neighbouring big buffers start at different places of a page") {
  on_new_thread([] {
    Scratch scratch;
    std::vector<uintptr_t> places;
    for (int i = 0; i < 24; ++i) {
      places.push_back(address(scratch.get<char>(i % 3 == 0 ? 4096 : 65536)));
      (void)scratch.get<char>(100);  // a small one between does not disturb
    }
    for (size_t i = 1; i < places.size(); ++i) {
      CHECK((places[i] - places[i - 1]) % 4096 / 64 % 2 == 1);
      for (size_t j = 0; j < i; ++j) CHECK(places[i] % 4096 != places[j] % 4096);
    }
  });
}

TEST_CASE("each thread has its own memory, freed with the thread") {
  const int64_t before = scratch_bytes();
  on_new_thread([before] {
    Scratch scratch;
    scratch.get<char>(5 << 20)[0] = 1;
    CHECK(scratch_bytes() >= before + (5 << 20));
    const auto mine = address(scratch.get<char>(64));
    on_new_thread([mine] {
      Scratch other;
      CHECK(address(other.get<char>(64)) != mine);
    });
  });
  CHECK(scratch_bytes() == before);
}

TEST_CASE("absurd sizes throw bad_alloc and leave the stack usable") {
  on_new_thread([] {
    Scratch scratch;
    float* data = scratch.get<float>(16);
    const int64_t held = scratch_bytes();
    for (const int64_t count : {int64_t{-1}, std::numeric_limits<int64_t>::min(),
                                std::numeric_limits<int64_t>::max(), int64_t{1} << 62}) {
      CAPTURE(count);
      CHECK_THROWS_AS(scratch.get<float>(count), std::bad_alloc);
      CHECK_THROWS_AS(scratch.get<char>(count), std::bad_alloc);
    }
#if !defined(LAMINAE_ASAN) && !defined(LAMINAE_TSAN)
    // Within the range of size_t, but more than any address space: malloc itself refuses. (The
    // sanitizers' allocators end the process there.)
    CHECK_THROWS_AS(scratch.get<char>(int64_t{1} << 61), std::bad_alloc);
#endif
    CHECK(scratch_bytes() == held);
    const float* next = scratch.get<float>(16);
    CHECK(address(next) >= address(data + 16));
    CHECK(address(next) <= address(data + 48));
  });
}

TEST_CASE("only the innermost scope hands out memory") {
  on_new_thread([] {
    Scratch outer;
    {
      Scratch inner;
      CHECK_THROWS_AS(outer.get<float>(1), std::logic_error);
      CHECK(inner.get<float>(1) != nullptr);
    }
    CHECK(outer.get<float>(1) != nullptr);
  });
}

TEST_CASE("an exception unwinds scratch scopes") {
  on_new_thread([] {
    const float* data = nullptr;
    for (int round = 0; round < 3; ++round) {
      try {
        Scratch outer;
        const float* first = outer.get<float>(100);
        if (data != nullptr) CHECK(first == data);
        data = first;
        Scratch inner;
        inner.get<float>(100)[0] = 1;
        throw std::runtime_error("unwind");
      } catch (const std::runtime_error&) {
      }
    }
  });
}
