// The binding: JavaScript values in, core calls out. It knows no mathematics. lib/native.ts is the
// typed face of what is exported here.
#include <napi.h>

#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/queries.h"
#include "addon/run.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  using namespace laminae;
  open_environment(env);
  const auto add = [&](const char* name, napi_callback callback) {
    napi_value function = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) != napi_ok)
      throw Napi::Error::New(env);
    exports.Set(name, Napi::Value(env, function));
  };
  add("run", run_op_from_js);
  add("runList", run_list_op_from_js);
  exports.Set("bind", Napi::Function::New(env, guarded<bind_slots>));
  exports.Set("opTable", Napi::Function::New(env, guarded<op_table>));
  exports.Set("functionNames", Napi::Function::New(env, guarded<function_names>));
  exports.Set("placeBlock", Napi::Function::New(env, guarded<place_block>));
  exports.Set("cpuInfo", Napi::Function::New(env, guarded<cpu_info>));
  exports.Set("setIsa", Napi::Function::New(env, guarded<set_isa>));
  exports.Set("numThreads", Napi::Function::New(env, guarded<get_num_threads>));
  exports.Set("setNumThreads", Napi::Function::New(env, guarded<set_thread_count>));
  exports.Set("startupError", Napi::Function::New(env, guarded<startup_error>));
  exports.Set("benchmarkProbe", Napi::Function::New(env, guarded<benchmark_probe>));
  return exports;
}

}  // namespace

NODE_API_MODULE(laminae, init)
