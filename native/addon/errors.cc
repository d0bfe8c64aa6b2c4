// See errors.h.
#include "addon/errors.h"

#include <exception>
#include <new>

namespace laminae {

void throw_range_error(napi_env env, const char* code, const std::string& message) {
  napi_throw_range_error(env, code, message.c_str());
}

void throw_type_error(napi_env env, const char* code, const std::string& message) {
  napi_throw_type_error(env, code, message.c_str());
}

void throw_current_exception(napi_env env, const char* where) {
  const std::string prefix = std::string(where) + ": ";
  try {
    throw;
  } catch (const std::bad_alloc&) {
    throw_range_error(env, "ERR_ALLOC", prefix + "out of memory");
  } catch (const std::exception& e) {
    throw_range_error(env, "ERR_NATIVE", prefix + e.what());
  } catch (...) {
    throw_range_error(env, "ERR_NATIVE", prefix + "unknown failure");
  }
}

}  // namespace laminae
