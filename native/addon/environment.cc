// Counting environments, and keeping the library mapped. See environment.h.
#include "addon/environment.h"

#include <cstdlib>
#include <mutex>

#include "core/parallel.h"

#if defined(_WIN32)
#include <windows.h>
#elif defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace laminae {
namespace {

// Constant-initialised and never destroyed: environments may end while statics are being destroyed.
std::mutex& count_mutex() {
  static auto* const mutex = new std::mutex;
  return *mutex;
}
int environments = 0;

// Node unmaps an addon when the last worker that loaded it ends. Threads of that process may still
// have to run destructors and fork handlers of ours, so the library stays. On Linux the linker flag
// -z nodelete does this.
void stay_mapped() {
#if defined(_WIN32)
  HMODULE module = nullptr;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                     reinterpret_cast<LPCWSTR>(&stay_mapped), &module);
#elif defined(__APPLE__)
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&stay_mapped), &info) != 0) {
    dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
#endif
}

// A collection frees the tensors of several steps at once. glibc would hand the top of its heap
// back to the system each time, and the next steps would fault it in again page by page. It keeps
// twice as much as the largest block it ever mapped on its own and saw freed, but looks at blocks
// of up to 32 MiB only. So one such block is made and freed, untouched.
void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr size_t kLargest = (size_t{32} << 20) - (size_t{64} << 10);
  void* volatile block = std::malloc(kLargest);  // volatile: or the compiler removes both calls
  std::free(block);
#endif
}

}  // namespace

Environment::Environment() {
  const std::lock_guard<std::mutex> lock(count_mutex());
  if (environments++ > 0) return;
  stay_mapped();
  keep_freed_memory();
}

Environment::~Environment() {
  const std::lock_guard<std::mutex> lock(count_mutex());
  if (--environments == 0) stop_pool();
}

void open_environment(Napi::Env env) { env.SetInstanceData(new Environment); }

}  // namespace laminae
