// See queries.h.
#include "addon/queries.h"

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/cpu.h"
#include "core/huge_pages.h"
#include "core/machine_probe.h"
#include "core/op.h"
#include "core/parallel.h"

namespace laminae {
namespace {

Napi::Array names(Napi::Env env, std::initializer_list<const char*> list) {
  Napi::Array array = Napi::Array::New(env, list.size());
  uint32_t n = 0;
  for (const char* name : list) array.Set(n++, name);
  return array;
}

// A number argument, or NaN.
double number_argument(const Napi::CallbackInfo& info, size_t index) {
  const bool given = info.Length() > index && info[index].IsNumber();
  return given ? info[index].As<Napi::Number>().DoubleValue() : std::nan("");
}

}  // namespace

Napi::Value op_table(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int count = 0;
  const OpInfo* table = ops(&count);
  Napi::Array list = Napi::Array::New(env, static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", table[i].name);
    row.Set("fields", table[i].fields);
    row.Set("buffers", table[i].buffers);
    row.Set("list", table[i].run_list != nullptr);
    list.Set(static_cast<uint32_t>(i), row);
  }
  return list;
}

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

Napi::Value place_block(const Napi::CallbackInfo& info) {
  const double bytes = number_argument(info, 1);
  if (info.Length() < 1 || !info[0].IsArrayBuffer() || !(bytes >= 0)) {
    throw Napi::TypeError::New(info.Env(), "placeBlock: expected an ArrayBuffer and a size");
  }
  auto* data = static_cast<char*>(info[0].As<Napi::ArrayBuffer>().Data());
  const size_t start = (64 - reinterpret_cast<uintptr_t>(data) % 64) % 64;
  advise_huge_pages(data + start, static_cast<size_t>(bytes));
  return Napi::Number::New(info.Env(), static_cast<double>(start));
}

Napi::Value cpu_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array available = Napi::Array::New(env);
  uint32_t n = 0;
  for (const IsaInfo* isa : available_isas()) available.Set(n++, isa->name);
  Napi::Object result = Napi::Object::New(env);
  result.Set("isa", active_isa().name);
  result.Set("available", available);
  return result;
}

Napi::Value set_isa(const Napi::CallbackInfo& info) {
  const bool known = info.Length() > 0 && info[0].IsString() &&
                     set_active_isa(info[0].As<Napi::String>().Utf8Value());
  return Napi::Boolean::New(info.Env(), known);
}

Napi::Value get_num_threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), num_threads());
}

void set_thread_count(const Napi::CallbackInfo& info) {
  const double n = number_argument(info, 0);
  if (!(n >= 1 && n <= kMaxThreads) || n != std::trunc(n)) {
    throw Napi::RangeError::New(
        info.Env(), "setNumThreads: n must be an integer in 1.." + std::to_string(kMaxThreads));
  }
  set_num_threads(static_cast<int>(n));
}

Napi::Value startup_error(const Napi::CallbackInfo& info) {
  const std::string& isa = isa_error();
  return Napi::String::New(info.Env(), isa.empty() ? threads_setting_error() : isa);
}

Napi::Value benchmark_probe(const Napi::CallbackInfo& info) {
  const double seconds = number_argument(info, 0);
  const double bytes = number_argument(info, 1);
  if (!(seconds > 0 && seconds <= 10) || !(bytes >= 0 && bytes <= 1e12)) {
    throw Napi::RangeError::New(info.Env(),
                                "benchmarkProbe: seconds must be in 0..10, bytes in 0..1e12");
  }
  const double rate =
      bytes > 0 ? probe_read(static_cast<int64_t>(bytes), seconds) : probe_fma(seconds);
  return Napi::Number::New(info.Env(), rate);
}

}  // namespace laminae
