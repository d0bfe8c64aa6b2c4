// C++ exceptions as JavaScript errors: nothing may fly through the C boundary.
#pragma once
#include <napi.h>

#include <string>

namespace laminae {

void throw_range_error(napi_env env, const char* code, const std::string& message);
void throw_type_error(napi_env env, const char* code, const std::string& message);

// Only in a catch block: throws the current C++ exception in JavaScript.
//   std::bad_alloc -> RangeError ERR_ALLOC, everything else -> RangeError ERR_NATIVE
// `where`, an op or a function of the addon, starts the message.
void throw_current_exception(napi_env env, const char* where);

// Wraps a function of node-addon-api so that its C++ exceptions become JavaScript errors.
template <auto Function>
auto guarded(const Napi::CallbackInfo& info) -> decltype(Function(info)) {
  try {
    return Function(info);
  } catch (const Napi::Error&) {
    throw;  // a JavaScript error already
  } catch (...) {
    throw_current_exception(info.Env(), "laminae");
    return decltype(Function(info))();
  }
}

}  // namespace laminae
