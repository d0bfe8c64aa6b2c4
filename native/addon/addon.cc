// The binding: JavaScript values in, core calls out. It knows no mathematics.
//
// Exports (see lib/native.ts for the typed face):
//   opTable()                      -> [{ name, fields, buffers }]
//   bind(slots: Float64Array)      keeps the array through which descriptors come
//   run(opCode, buffer0, buffer1…) runs one op; null for a missing optional buffer. `slots` holds the element offset
//                                  of every buffer, then the descriptor.
//   alignment(ArrayBuffer)         -> bytes to the next 64-byte boundary of its memory
//   functionNames()                -> { unary, binary, compare, activation }: names in the order of their codes
//   cpuInfo(), setIsa(name), numThreads(), setNumThreads(n), startupError()
//   benchmarkProbe(seconds, bytes) -> FMA operations per second; with `bytes` > 0 bytes read per second (benchmarks/)
#include <napi.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <string>

#include "core/cpu.h"
#include "core/machine_probe.h"
#include "core/op.h"
#include "core/parallel.h"

namespace {

using laminae::Buffer;
using laminae::DType;

// Per environment (main thread, each worker): the array descriptors come through.
struct Environment {
  Napi::Reference<Napi::Float64Array> slots_ref;
  const double* slots = nullptr;
  size_t slot_capacity = 0;
};

void throw_error(napi_env env, const char* code, const std::string& message, bool is_type_error = false) {
  if (is_type_error) {
    napi_throw_type_error(env, code, message.c_str());
  } else {
    napi_throw_range_error(env, code, message.c_str());
  }
}

bool to_dtype(napi_typedarray_type type, DType* dtype) {
  switch (type) {
    case napi_float32_array:
      *dtype = DType::kFloat32;
      return true;
    case napi_float64_array:
      *dtype = DType::kFloat64;
      return true;
    case napi_int32_array:
      *dtype = DType::kInt32;
      return true;
    case napi_uint8_array:
      *dtype = DType::kUint8;
      return true;
    default:
      return false;
  }
}

// The hot path: plain Node-API, because the C++ wrappers cost 100 ns more per call here.
napi_value run(napi_env env, napi_callback_info info) {
  constexpr size_t kMaxArguments = laminae::kMaxBuffers + 1;
  napi_value args[kMaxArguments];
  size_t count = kMaxArguments;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, args, nullptr, nullptr) != napi_ok) return nullptr;
  if (napi_get_instance_data(env, &data) != napi_ok || data == nullptr) return nullptr;
  const Environment& environment = *static_cast<Environment*>(data);

  int op_count = 0;
  const laminae::OpInfo* table = laminae::ops(&op_count);
  int32_t op_code = -1;
  if (count < 1 || napi_get_value_int32(env, args[0], &op_code) != napi_ok || op_code < 0 || op_code >= op_count) {
    throw_error(env, "ERR_NATIVE", "run: unknown op code");
    return nullptr;
  }
  const laminae::OpInfo& op = table[op_code];
  const size_t n_buffers = static_cast<size_t>(op.buffer_count);
  if (environment.slots == nullptr || environment.slot_capacity < n_buffers + static_cast<size_t>(op.slot_count)) {
    throw_error(env, "ERR_NATIVE", "run: bind() was not called with a large enough array");
    return nullptr;
  }

  Buffer buffers[laminae::kMaxBuffers];
  for (size_t i = 0; i < n_buffers; ++i) {
    if (i + 1 >= count) continue;
    napi_typedarray_type type;
    size_t length = 0;
    void* pointer = nullptr;
    const napi_status status =
        napi_get_typedarray_info(env, args[i + 1], &type, &length, &pointer, nullptr, nullptr);
    Buffer& b = buffers[i];
    if (status != napi_ok || !to_dtype(type, &b.dtype)) {
      napi_valuetype value_type = napi_undefined;
      napi_typeof(env, args[i + 1], &value_type);
      if (value_type == napi_null || value_type == napi_undefined) continue;  // a missing optional buffer
      throw_error(env, "ERR_INVALID_TYPE",
                  std::string(op.name) + ": buffer " + std::to_string(i) + " must be a typed array of a known type",
                  true);
      return nullptr;
    }
    const double offset = environment.slots[i];
    if (!(offset >= 0) || offset > static_cast<double>(length) || offset != std::trunc(offset)) {
      // A detached array reports length 0 and no memory.
      const bool detached = length == 0;
      throw_error(env, detached ? "ERR_DETACHED" : "ERR_NATIVE",
                  std::string(op.name) + ": buffer " + std::to_string(i) + " starts outside its memory" +
                      (detached ? " (it is empty or was transferred)" : ""),
                  detached);
      return nullptr;
    }
    static const size_t kSize[] = {4, 8, 4, 1};
    b.length = static_cast<int64_t>(length) - static_cast<int64_t>(offset);
    b.data = static_cast<char*>(pointer) + static_cast<size_t>(offset) * kSize[static_cast<int>(b.dtype)];
  }
  try {
    laminae::run_op(op_code, environment.slots + n_buffers, buffers);
  } catch (const std::bad_alloc&) {
    throw_error(env, "ERR_ALLOC", std::string(op.name) + ": out of memory");
  } catch (const std::exception& e) {
    throw_error(env, "ERR_NATIVE", e.what());
  } catch (...) {
    throw_error(env, "ERR_NATIVE", std::string(op.name) + ": unknown failure");
  }
  return nullptr;
}

Napi::Value op_table(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int count = 0;
  const laminae::OpInfo* table = laminae::ops(&count);
  Napi::Array list = Napi::Array::New(env, static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", table[i].name);
    row.Set("fields", table[i].fields);
    row.Set("buffers", table[i].buffers);
    list.Set(static_cast<uint32_t>(i), row);
  }
  return list;
}

void bind(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw Napi::TypeError::New(env, "bind: expected a Float64Array");
  }
  Napi::Float64Array slots = info[0].As<Napi::Float64Array>();
  if (slots.ByteLength() <= 64) throw Napi::RangeError::New(env, "bind: array too small to have fixed memory");
  Environment* environment = env.GetInstanceData<Environment>();
  environment->slots_ref = Napi::Persistent(slots);
  environment->slots = slots.Data();
  environment->slot_capacity = slots.ElementLength();
}

Napi::Value alignment(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsArrayBuffer()) {
    throw Napi::TypeError::New(info.Env(), "alignment: expected an ArrayBuffer");
  }
  const auto address = reinterpret_cast<uintptr_t>(info[0].As<Napi::ArrayBuffer>().Data());
  return Napi::Number::New(info.Env(), static_cast<double>((64 - address % 64) % 64));
}

Napi::Array names(Napi::Env env, std::initializer_list<const char*> list) {
  Napi::Array array = Napi::Array::New(env, list.size());
  uint32_t n = 0;
  for (const char* name : list) array.Set(n++, name);
  return array;
}

// The functions of the elementwise ops in the order of their codes, unary ones with what backward needs: "exp:y".
Napi::Value function_names(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
#define LAMINAE_UNARY_NAME(name, saved) #name ":" #saved,
#define LAMINAE_NAME(name) #name,
  result.Set("unary", names(env, {LAMINAE_UNARY_FNS(LAMINAE_UNARY_NAME)}));
  result.Set("binary", names(env, {LAMINAE_BINARY_FNS(LAMINAE_NAME)}));
  result.Set("compare", names(env, {LAMINAE_COMPARE_FNS(LAMINAE_NAME)}));
  result.Set("activation", names(env, {LAMINAE_ACTIVATION_FNS(LAMINAE_NAME)}));
#undef LAMINAE_NAME
#undef LAMINAE_UNARY_NAME
  return result;
}

Napi::Value cpu_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  Napi::Array available = Napi::Array::New(env);
  uint32_t n = 0;
  for (const laminae::IsaInfo* isa : laminae::available_isas()) available.Set(n++, isa->name);
  result.Set("isa", laminae::active_isa().name);
  result.Set("available", available);
  return result;
}

std::string string_argument(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsString()) throw Napi::TypeError::New(info.Env(), "expected a string");
  return info[0].As<Napi::String>().Utf8Value();
}

// false when this machine lacks the ISA
Napi::Value set_isa(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), laminae::set_active_isa(string_argument(info)));
}

Napi::Value num_threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), laminae::num_threads());
}

void set_num_threads(const Napi::CallbackInfo& info) {
  const double n = info.Length() > 0 && info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(n >= 1 && n <= 256) || n != std::trunc(n)) {
    throw Napi::RangeError::New(info.Env(), "setNumThreads: n must be an integer in 1..256");
  }
  laminae::set_num_threads(static_cast<int>(n));
}

// What was wrong with LAMINAE_ISA or LAMINAE_THREADS, or "".
Napi::Value startup_error(const Napi::CallbackInfo& info) {
  std::string text = laminae::isa_error();
  if (text.empty()) text = laminae::threads_setting_error();
  return Napi::String::New(info.Env(), text);
}

// Turns C++ exceptions that are not JavaScript errors yet into JavaScript errors.
// What the machine gives at best: for benchmarks, which load the addon themselves.
Napi::Value benchmark_probe(const Napi::CallbackInfo& info) {
  if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsNumber()) {
    throw Napi::TypeError::New(info.Env(), "benchmarkProbe: expected seconds and bytes");
  }
  const double seconds = info[0].As<Napi::Number>().DoubleValue();
  const double bytes = info[1].As<Napi::Number>().DoubleValue();
  if (!(seconds > 0 && seconds <= 10) || !(bytes >= 0 && bytes <= 1e12)) {
    throw Napi::RangeError::New(info.Env(), "benchmarkProbe: seconds must be in 0..10, bytes must not be negative");
  }
  const double rate =
      bytes > 0 ? laminae::probe_read(static_cast<int64_t>(bytes), seconds) : laminae::probe_fma(seconds);
  return Napi::Number::New(info.Env(), rate);
}

template <auto Function>
auto guarded(const Napi::CallbackInfo& info) -> decltype(Function(info)) {
  try {
    return Function(info);
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Napi::Error::New(info.Env(), e.what());
  }
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment());
  napi_value run_function = nullptr;
  napi_create_function(env, "run", NAPI_AUTO_LENGTH, run, nullptr, &run_function);
  exports.Set("run", Napi::Value(env, run_function));
  exports.Set("opTable", Napi::Function::New(env, guarded<op_table>));
  exports.Set("bind", Napi::Function::New(env, guarded<bind>));
  exports.Set("alignment", Napi::Function::New(env, guarded<alignment>));
  exports.Set("functionNames", Napi::Function::New(env, guarded<function_names>));
  exports.Set("cpuInfo", Napi::Function::New(env, guarded<cpu_info>));
  exports.Set("setIsa", Napi::Function::New(env, guarded<set_isa>));
  exports.Set("numThreads", Napi::Function::New(env, guarded<num_threads>));
  exports.Set("setNumThreads", Napi::Function::New(env, guarded<set_num_threads>));
  exports.Set("startupError", Napi::Function::New(env, guarded<startup_error>));
  exports.Set("benchmarkProbe", Napi::Function::New(env, guarded<benchmark_probe>));
  return exports;
}

}  // namespace

NODE_API_MODULE(laminae, init)
