#include "executable-to-js.h"

#include <atomic>

namespace resnode {
namespace {

constexpr napi_type_tag kExecutableTag = {0x94d0c3a57be24f18, 0xa6f18b3d2c7e5094};

struct RunState {
  std::atomic<bool> cancelled{false};
  std::vector<std::vector<char>> inputs;
  RunRequest request;
  std::vector<double> milliseconds;
  std::vector<Napi::Reference<Napi::Float32Array>> outputs;
};

Napi::Value run(const Napi::CallbackInfo& info, const std::shared_ptr<Device>& device, const std::shared_ptr<const Program>& program,
                const std::shared_ptr<Executable>& executable) {
  const Napi::Env env = info.Env();
  auto state = std::make_shared<RunState>();
  const Napi::Array inputs = info[0].As<Napi::Array>();
  if (inputs.Length() != program->inputs.size()) throw Error("argument/invalid", "The number of inputs does not fit the program");
  for (uint32_t i = 0; i < inputs.Length(); ++i) {
    const Napi::TypedArray array = inputs.Get(i).As<Napi::TypedArray>();
    const size_t count = elementCount(program->tensors[program->inputs[i]].shape);
    const bool isBytes = array.TypedArrayType() == napi_uint8_array;
    if ((!isBytes && array.TypedArrayType() != napi_float32_array) || array.ElementLength() != count) {
      throw Error("argument/invalid", "Expected a Float32Array or Uint8Array of " + std::to_string(count) + " values for input " + std::to_string(i));
    }
    // Copied here, so that the caller may reuse, transfer or free its array at once.
    const char* bytes = static_cast<const char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
    state->inputs.emplace_back(bytes, bytes + array.ByteLength());
    state->request.inputs.push_back({state->inputs.back().data(), isBytes ? DataType::uint8 : DataType::float32});
  }
  for (TensorId id : program->outputs) {
    auto array = Napi::Float32Array::New(env, elementCount(program->tensors[id].shape));
    state->request.outputs.push_back(array.Data());
    state->outputs.push_back(Napi::Persistent(array));
  }
  state->request.cancelled = &state->cancelled;
  if (info[1].As<Napi::Object>().Get("profile").ToBoolean()) state->request.milliseconds = &state->milliseconds;
  const Napi::Promise done = submit<int>(env, device,
      [state, executable](Backend&) {
        if (state->cancelled) throw Aborted();
        executable->run(state->request);
        return 0;
      },
      [state](Napi::Env loop, int&) -> Napi::Value {
        Napi::Object result = Napi::Object::New(loop);
        Napi::Array outputs = Napi::Array::New(loop, state->outputs.size());
        for (uint32_t i = 0; i < state->outputs.size(); ++i) outputs.Set(i, state->outputs[i].Value());
        result.Set("outputs", outputs);
        if (state->request.milliseconds) {
          auto times = Napi::Float64Array::New(loop, state->milliseconds.size());
          std::copy(state->milliseconds.begin(), state->milliseconds.end(), times.Data());
          result.Set("milliseconds", times);
        } else {
          result.Set("milliseconds", loop.Null());
        }
        return result;
      });
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("done", done);
  method(handle, "cancel", [state](const Napi::CallbackInfo& call) -> Napi::Value {
    state->cancelled = true;
    return call.Env().Undefined();
  });
  return handle;
}

}  // namespace

Napi::Value executableToJs(Napi::Env env, const std::shared_ptr<Device>& device, const std::shared_ptr<const Program>& program,
                           const std::shared_ptr<Executable>& executable) {
  Napi::Object object = Napi::Object::New(env);
  const auto bytes = static_cast<int64_t>(executable->arenaBytes() + executable->workspaceBytes());
  hold(object, executable, kExecutableTag)->report(env, bytes);
  remember(device->executables, executable);
  method(object, "run", [device, program](const Napi::CallbackInfo& info) -> Napi::Value {
    return run(info, device, program, held<Executable>(info.This(), kExecutableTag, "model"));
  });
  object.Set("bytes", static_cast<double>(bytes));
  return object;
}

}  // namespace resnode
