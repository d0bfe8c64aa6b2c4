// Huge pages: what is advised, and that nothing but whole huge pages is.
#include "core/huge_pages.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using laminae::advise_huge_pages;
using laminae::kHugePage;

TEST_CASE("ranges without a whole huge page are left alone") {
  advise_huge_pages(nullptr, 0);
  std::vector<char> small(4096);
  advise_huge_pages(small.data(), small.size());
  CHECK(small[4095] == 0);
}

#if defined(__linux__)
#include <sys/mman.h>

#include <fstream>
#include <sstream>
#include <string>

namespace {

// Whether the kernel has noted the wish for huge pages at an address, from /proc/self/smaps.
bool is_advised(const char* address) {
  std::ifstream smaps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char dash = 0;
    std::istringstream range(line);
    if (range >> std::hex >> begin >> dash >> end && dash == '-') {
      inside = begin <= wanted && wanted < end;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line.find(" hg") != std::string::npos;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("whole huge pages are advised, what lies around them is not") {
  if (!std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled").good()) {
    MESSAGE("this kernel has no transparent huge pages");
    return;
  }
  constexpr size_t kRoom = 6 * kHugePage;
  void* room = mmap(nullptr, kRoom, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(room != MAP_FAILED);
  auto* begin = static_cast<char*>(room);
  begin += (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  begin[4096] = 7;
  advise_huge_pages(begin + 4096, 4 * kHugePage);
  CHECK_FALSE(is_advised(begin + 4096));
  CHECK(is_advised(begin + kHugePage));
  CHECK(is_advised(begin + 4 * kHugePage - 1));
  CHECK_FALSE(is_advised(begin + 4 * kHugePage));
  CHECK(begin[4096] == 7);
  munmap(room, kRoom);
}
#endif
