// See huge_pages.h.
#include "core/huge_pages.h"

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace laminae {

void advise_huge_pages(void* begin, size_t bytes) {
#if defined(__linux__)
  const auto address = reinterpret_cast<uintptr_t>(begin);
  const uintptr_t from = (address + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t to = (address + bytes) / kHugePage * kHugePage;
  if (from < to) (void)madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#else
  (void)begin;
  (void)bytes;
#endif
}

}  // namespace laminae
