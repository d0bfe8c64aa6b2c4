// The way of every op from JavaScript into the core.
#pragma once
#include <napi.h>

namespace laminae {

// bind(slots): keeps the Float64Array through which offsets and descriptors come. It must be a view
// of a SharedArrayBuffer: such memory cannot be detached or shrunk while an op reads it.
void bind_slots(const Napi::CallbackInfo& info);

// run(opCode, buffer0, buffer1...): runs one op on typed arrays; null for a missing optional one.
// `slots` holds the element at which each buffer starts, then the descriptor.
napi_value run_op_from_js(napi_env env, napi_callback_info info);

// runList(opCode, ...buffers of the first item, ...buffers of the second...): runs a list op on any
// number of items; null for a missing optional buffer. `slots` holds the descriptor, then for each
// item the number of elements, 0 for float32 or 1 for float64, and the byte at which each buffer
// starts. Buffers are ArrayBuffers: to ask one for its memory takes a fifth of the time that a
// typed array takes.
napi_value run_list_op_from_js(napi_env env, napi_callback_info info);

}  // namespace laminae
