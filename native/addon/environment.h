// What the addon keeps for each environment: the main thread's, and one per worker thread.
#pragma once
#include <napi.h>

#include <cstddef>

namespace laminae {

// The environments of a process are counted. When the last one ends the thread pool is stopped, so
// that no thread of ours is left in a library that is about to be unmapped.
struct Environment {
  Environment();
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  // The array descriptors come through. Its memory is shared memory, which cannot be taken away.
  Napi::Reference<Napi::Float64Array> slots_ref;
  const double* slots = nullptr;
  size_t slot_capacity = 0;
};

// Creates the environment's data, to be deleted by Node when the environment ends.
void open_environment(Napi::Env env);

}  // namespace laminae
