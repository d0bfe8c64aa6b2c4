// Op code, slots and typed arrays in, core call out. Whatever JavaScript passes, this only throws.
#include "addon/run.h"

#include <cmath>
#include <cstdint>
#include <string>

#include "addon/environment.h"
#include "addon/errors.h"
#include "core/op.h"

namespace laminae {
namespace {

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

bool is_nullish(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  return type == napi_null || type == napi_undefined;
}

bool is_detached(napi_env env, napi_value array_buffer) {
  bool detached = false;
  napi_is_detached_arraybuffer(env, array_buffer, &detached);
  return detached;
}

std::string name_of(const OpInfo& op, size_t buffer) {
  return std::string(op.name) + ": buffer " + std::to_string(buffer);
}

// Fills `buffer` from a typed array and the element it starts at; throws in JavaScript and returns
// false if that is impossible. null and undefined leave the buffer missing.
bool read_buffer(napi_env env, const OpInfo& op, size_t index, napi_value value, double start,
                 Buffer* buffer) {
  napi_typedarray_type type;
  size_t length = 0;
  void* pointer = nullptr;
  napi_value array_buffer = nullptr;
  const napi_status status =
      napi_get_typedarray_info(env, value, &type, &length, &pointer, &array_buffer, nullptr);
  if (status != napi_ok || !to_dtype(type, &buffer->dtype)) {
    if (status != napi_ok && is_nullish(env, value)) return true;
    throw_type_error(
        env, "ERR_INVALID_TYPE",
        name_of(op, index) + " must be a Float32Array, Float64Array, Int32Array or Uint8Array");
    return false;
  }
  // A detached array reports no elements, just as an empty one.
  if (length == 0 && is_detached(env, array_buffer)) {
    throw_type_error(env, "ERR_DETACHED", name_of(op, index) + " was detached (transferred)");
    return false;
  }
  if (!(start >= 0 && start <= static_cast<double>(length)) || start != std::trunc(start)) {
    throw_range_error(env, "ERR_NATIVE",
                      name_of(op, index) + " must start at an integer in 0.." +
                          std::to_string(length) + ", got " + std::to_string(start));
    return false;
  }
  const size_t first = static_cast<size_t>(start);
  buffer->length = static_cast<int64_t>(length - first);
  buffer->data = static_cast<char*>(pointer) + first * dtype_size(buffer->dtype);
  return true;
}

// The op that `value` is the code of, or nullptr. Read as a double: napi_get_value_int32 makes
// an integer of every number.
const OpInfo* find_op(napi_env env, napi_value value, int* op_code) {
  int op_count = 0;
  const OpInfo* table = ops(&op_count);
  double code = -1;
  if (napi_get_value_double(env, value, &code) != napi_ok) return nullptr;
  if (!(code >= 0 && code < op_count) || code != std::trunc(code)) return nullptr;
  *op_code = static_cast<int>(code);
  return &table[*op_code];
}

}  // namespace

void bind_slots(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bool is_array = info.Length() > 0 && info[0].IsTypedArray() &&
                        info[0].As<Napi::TypedArray>().TypedArrayType() == napi_float64_array;
  if (!is_array) throw Napi::TypeError::New(env, "bind: expected a Float64Array");
  Napi::Float64Array slots = info[0].As<Napi::Float64Array>();
  if (Napi::Value(env, slots.Get("buffer")).IsArrayBuffer()) {
    throw Napi::TypeError::New(env, "bind: expected a view of a SharedArrayBuffer");
  }
  Environment* environment = env.GetInstanceData<Environment>();
  environment->slots_ref = Napi::Persistent(slots);
  environment->slots = slots.Data();
  environment->slot_capacity = slots.ElementLength();
}

// Plain Node-API, because the C++ wrappers cost 100 ns more per call here.
napi_value run_op_from_js(napi_env env, napi_callback_info info) {
  constexpr size_t kMaxArguments = kMaxBuffers + 1;
  napi_value args[kMaxArguments];  // those that were not passed are undefined
  size_t count = kMaxArguments;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, args, nullptr, nullptr) != napi_ok) return nullptr;
  if (napi_get_instance_data(env, &data) != napi_ok || data == nullptr) return nullptr;
  const Environment& environment = *static_cast<Environment*>(data);

  int op_code = 0;
  const OpInfo* op = find_op(env, args[0], &op_code);
  if (op == nullptr) {
    throw_range_error(env, "ERR_NATIVE", "run: unknown op code");
    return nullptr;
  }
  const size_t n_buffers = static_cast<size_t>(op->buffer_count);
  if (environment.slot_capacity < n_buffers + static_cast<size_t>(op->slot_count)) {
    throw_range_error(env, "ERR_NATIVE", "run: bind() was not called with a large enough array");
    return nullptr;
  }
  Buffer buffers[kMaxBuffers];
  for (size_t i = 0; i < n_buffers; ++i) {
    if (!read_buffer(env, *op, i, args[i + 1], environment.slots[i], &buffers[i])) return nullptr;
  }
  try {
    run_op(op_code, environment.slots + n_buffers, buffers);
  } catch (...) {
    throw_current_exception(env, op->name);
  }
  return nullptr;
}

}  // namespace laminae
