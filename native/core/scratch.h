// Scratch memory for kernels: a stack per thread whose blocks are kept and reused, so that a hot
// loop calls malloc only the first time it runs.
//
//   Scratch scratch;                          // remembers the height of this thread's stack
//   float* panel = scratch.get<float>(k * n); // 64-byte aligned, not initialised
//   ...                                       // the scope ends: everything taken here is released
//
// Rules
// - Scopes nest like a stack. Only the innermost live Scratch of a thread may be asked for memory.
// - Memory taken by the caller of parallel_for may be used inside the region; a body that needs
//   memory of its own makes its own Scratch (its thread's stack).
// - Contents are not initialised and are not kept between scopes.
// - Buffers of 4 KiB and more start at different offsets within a 4 KiB page. A load that follows a
//   store to the same offset of another page is delayed by the CPU (only the low 12 bits are
//   compared at first), and equally placed streams compete for the same sets of the L1 cache.
// - Blocks live until their thread ends. Under AddressSanitizer all memory that is not handed out
//   is poisoned, and a gap follows each buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

namespace laminae {

class ScratchStack;  // the blocks of one thread

// Height of a thread's stack.
struct ScratchMark {
  size_t block = 0;      // index of the block on top
  size_t used = 0;       // bytes used in it
  size_t big_count = 0;  // number of live buffers of 4 KiB and more
  size_t live = 0;       // upper bound of the bytes that all live buffers take in a single block
};

class Scratch {
 public:
  Scratch() noexcept;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // `count` elements of T. Throws std::bad_alloc when there is no memory (or count is absurd), and
  // std::logic_error when a Scratch made later on this thread is still alive.
  template <class T>
  T* get(int64_t count) {
    static_assert(std::is_trivial<T>::value, "scratch memory is neither constructed nor destroyed");
    static_assert(alignof(T) <= 64, "scratch memory is 64-byte aligned");
    if (count < 0 || static_cast<uint64_t>(count) > kMaxBytes / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(take(static_cast<size_t>(count) * sizeof(T)));
  }

 private:
  static constexpr uint64_t kMaxBytes = SIZE_MAX / 4;

  void* take(size_t bytes);

  ScratchStack& stack_;
  Scratch* outer_;     // the scope around this one
  ScratchMark begin_;  // height when this scope began
};

// Bytes that the scratch stacks of all threads hold now, in use or not.
int64_t scratch_bytes();

}  // namespace laminae
