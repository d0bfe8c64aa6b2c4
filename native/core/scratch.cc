// Scratch memory: blocks, growth and the placement of buffers. See scratch.h for the rules.
#include "core/scratch.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "core/huge_pages.h"
#include "core/sanitizers.h"

#if defined(_WIN32)
#include <malloc.h>
#endif

#if defined(LAMINAE_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace laminae {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kPage = 4096;
constexpr size_t kSmallestBlock = size_t{256} << 10;
// Consecutive big buffers start 17 * 64 bytes apart modulo 4 KiB. 17 is odd, so all 64 places of a
// page are used before one repeats.
constexpr size_t kColourStep = 17 * kAlign;

#if defined(LAMINAE_ASAN)
constexpr size_t kGap = kAlign;  // poisoned bytes after each buffer
#else
constexpr size_t kGap = 0;
#endif

// Written only when a block is made or freed.
std::atomic<int64_t> total_bytes{0};

size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// The next of the sizes 4, 5, 6, 7 times a power of two: a need that grows a little with every call
// then moves to a new block rarely, and at most a quarter of the block is spare.
size_t geometric_size(size_t bytes) {
  size_t step = kSmallestBlock / 4;
  while (step * 8 <= bytes) step *= 2;
  return std::max(kSmallestBlock, round_up(bytes, step));
}

void poison(const void* begin, size_t bytes) {
#if defined(LAMINAE_ASAN)
  __asan_poison_memory_region(begin, bytes);
#else
  (void)begin;
  (void)bytes;
#endif
}

void unpoison(const void* begin, size_t bytes) {
#if defined(LAMINAE_ASAN)
  __asan_unpoison_memory_region(begin, bytes);
#else
  (void)begin;
  (void)bytes;
#endif
}

struct Block {
  char* data;
  size_t size;
};

Block make_block(size_t size) {
  const size_t alignment = size >= kHugePage ? kHugePage : kPage;
  size = round_up(size, alignment);
  void* data = nullptr;
#if defined(_WIN32)
  data = _aligned_malloc(size, alignment);
#else
  if (posix_memalign(&data, alignment, size) != 0) data = nullptr;
#endif
  if (data == nullptr) throw std::bad_alloc();
  advise_huge_pages(data, size);
  poison(data, size);
  total_bytes.fetch_add(static_cast<int64_t>(size), std::memory_order_relaxed);
  return Block{static_cast<char*>(data), size};
}

void free_block(const Block& block) {
  unpoison(block.data, block.size);
  total_bytes.fetch_sub(static_cast<int64_t>(block.size), std::memory_order_relaxed);
#if defined(_WIN32)
  _aligned_free(block.data);
#else
  std::free(block.data);
#endif
}

}  // namespace

// Blocks are filled in order. The blocks above the current one are empty and are used again when
// the stack grows.
class ScratchStack {
 public:
  ~ScratchStack() { clear(); }

  void* take(size_t bytes);
  void release(const ScratchMark& to);

  Scratch* top = nullptr;  // innermost live scope
  ScratchMark mark;

 private:
  void* place(size_t bytes, bool big);
  void clear();

  std::vector<Block> blocks_;
  size_t peak_ = 0;  // largest mark.live so far: one block of this size holds everything
};

// A buffer in the current block, or nullptr if it does not fit.
void* ScratchStack::place(size_t bytes, bool big) {
  if (mark.block >= blocks_.size()) return nullptr;
  const Block& current = blocks_[mark.block];
  size_t start = mark.used;  // blocks are page aligned: the offset is the place within the page
  if (big) {
    const size_t colour = mark.big_count * kColourStep % kPage;
    start += (colour + kPage - start % kPage) % kPage;
  }
  if (start > current.size || bytes > current.size - start) return nullptr;
  mark.used = start + bytes;
  return current.data + start;
}

void* ScratchStack::take(size_t bytes) {
  const bool big = bytes >= kPage;
  const size_t padded = round_up(bytes, kAlign) + kGap;
  const size_t at_most = padded + (big ? kPage : 0);  // with what placing it may skip
  const ScratchMark before = mark;
  void* buffer = place(padded, big);
  while (buffer == nullptr && mark.block + 1 < blocks_.size()) {
    ++mark.block;
    mark.used = 0;
    buffer = place(padded, big);
  }
  if (buffer == nullptr) {
    size_t total = 0;
    for (const Block& b : blocks_) total += b.size;
    try {
      blocks_.reserve(blocks_.size() + 1);
      blocks_.push_back(make_block(geometric_size(std::max({at_most, total, peak_}))));
    } catch (...) {
      mark = before;
      throw;
    }
    mark.block = blocks_.size() - 1;
    mark.used = 0;
    buffer = place(padded, big);
  }
  if (big) ++mark.big_count;
  mark.live += at_most;
  peak_ = std::max(peak_, mark.live);
  unpoison(buffer, bytes);
  return buffer;
}

void ScratchStack::release(const ScratchMark& to) {
#if defined(LAMINAE_ASAN)
  for (size_t i = to.block; i < blocks_.size() && i <= mark.block; ++i) {
    const size_t from = i == to.block ? to.used : 0;
    poison(blocks_[i].data + from, blocks_[i].size - from);
  }
#endif
  mark = to;
  // Several blocks mean that the first was too small: give them back, so that the next run makes
  // one block that holds everything and its buffers lie the same way every time.
  if (mark.live == 0 && blocks_.size() > 1) clear();
}

void ScratchStack::clear() {
  for (const Block& b : blocks_) free_block(b);
  blocks_.clear();
}

namespace {

ScratchStack& this_thread_stack() {
  static thread_local ScratchStack stack;
  return stack;
}

}  // namespace

Scratch::Scratch() noexcept : stack_(this_thread_stack()), outer_(stack_.top), begin_(stack_.mark) {
  stack_.top = this;
}

Scratch::~Scratch() {
  stack_.release(begin_);
  stack_.top = outer_;
}

void* Scratch::take(size_t bytes) {
  if (stack_.top != this) {
    throw std::logic_error("scratch: get() on a scope that is not the innermost of this thread");
  }
  return stack_.take(bytes);
}

int64_t scratch_bytes() { return total_bytes.load(std::memory_order_relaxed); }

}  // namespace laminae
