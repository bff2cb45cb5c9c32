#include "native/addon/executable-to-js.h"

#include <atomic>
#include <map>

#include "native/addon/buffer-to-js.h"
#include "native/core/host-functions.h"

namespace resnode {
namespace {

constexpr napi_type_tag kExecutableTag = {0x94d0c3a57be24f18, 0xa6f18b3d2c7e5094};

struct RunState {
  std::atomic<bool> cancelled{false};
  std::vector<std::vector<char>> copies;
  std::vector<Napi::Reference<Napi::TypedArray>> lent;  // arrays that the run reads or writes in place
  RunRequest request;
  std::vector<double> measured;    // milliseconds of each operation, if requested
  double* milliseconds = nullptr;  // where to deliver them
};

// The runs of an executable that are not settled yet, by number, each with the function that cancels it.
struct Runs {
  std::map<uint32_t, std::function<void()>> unsettled;
  uint32_t next = 0;
};

// While a run starts, tells the process's own functions that their calls belong to it. All of them are called in that
// time.
class Attendance {
 public:
  Attendance(std::shared_ptr<HostFunctions> functions, const std::atomic<bool>& cancelled)
      : functions_(std::move(functions)) {
    if (functions_) functions_->attend(&cancelled);
  }
  Attendance(const Attendance&) = delete;
  Attendance& operator=(const Attendance&) = delete;
  ~Attendance() {
    if (functions_) functions_->attend(nullptr);
  }

 private:
  std::shared_ptr<HostFunctions> functions_;
};

// `what` describes the argument in errors: "input \"data\"".
std::shared_ptr<Buffer> bufferArgument(const Napi::Value& value, const std::shared_ptr<Device>& device, size_t bytes,
                                       const std::string& what) {
  const auto buffer = bufferOf(value, device, what);
  if (buffer->bytes() < bytes)
    throw Error("argument/invalid", "Expected a buffer of at least " + std::to_string(bytes) + " bytes for " + what +
                                        ", found one of " + std::to_string(buffer->bytes()));
  return buffer;
}

struct Values {
  napi_typedarray_type type;
  size_t count;
  char* data;
};

Values valuesOf(const Napi::TypedArray& array) {
  Values values{};
  void* data = nullptr;
  napi_get_typedarray_info(array.Env(), array, &values.type, &values.count, &data, nullptr, nullptr);
  values.data = static_cast<char*>(data);
  return values;
}

// Reads a Float32Array or Uint8Array, or { buffer, dtype }. `place`: where the executable keeps the input's float32
// values, or null.
RunInput inputValues(const Napi::Value& value, size_t count, const std::string& what, bool copies, float* place,
                     const std::shared_ptr<Device>& device, RunState& state) {
  if (value.IsTypedArray()) {
    const auto [found, length, data] = valuesOf(value.As<Napi::TypedArray>());
    const bool isBytes = found == napi_uint8_array;
    if ((isBytes || found == napi_float32_array) && length == count) {
      const size_t bytes = count * (isBytes ? 1 : sizeof(float));
      const DataType type = isBytes ? DataType::uint8 : DataType::float32;
      if (!copies) {
        state.lent.push_back(Napi::Persistent(value.As<Napi::TypedArray>()));
        return {data, type, nullptr, {}};
      }
      // Copied now, so that the caller may reuse, transfer or free its array.
      if (place && !isBytes) {
        std::copy_n(data, bytes, reinterpret_cast<char*>(place));
        return {place, type, nullptr, {}};
      }
      state.copies.emplace_back(data, data + bytes);
      return {state.copies.back().data(), type, nullptr, {}};
    }
  } else if (value.IsObject()) {
    const Napi::Object object = value.As<Napi::Object>();
    const bool isBytes = object.Get("dtype").ToString().Utf8Value() == "uint8";
    return {nullptr,
            isBytes ? DataType::uint8 : DataType::float32,
            bufferArgument(object.Get("buffer"), device, isBytes ? count : count * sizeof(float), what),
            {}};
  }
  throw Error("argument/invalid",
              "Expected a Float32Array or Uint8Array of " + std::to_string(count) + " values for " + what);
}

// As above, or { bytes, mean, scale } with a mean and scale per channel.
RunInput inputFromJs(const Napi::Value& value, const Tensor& tensor, bool copies, float* place,
                     const std::shared_ptr<Device>& device, RunState& state) {
  const Shape& shape = tensor.shape;
  const std::string what = "input \"" + tensor.name + "\"";
  const size_t count = elementCount(shape);
  const bool isNormalised = value.IsObject() && !value.IsTypedArray() && value.As<Napi::Object>().Has("bytes");
  if (!isNormalised) return inputValues(value, count, what, copies, place, device, state);
  const Napi::Object object = value.As<Napi::Object>();
  RunInput input = inputValues(object.Get("bytes"), count, what, copies, nullptr, device, state);
  const auto mean = object.Get("mean").As<Napi::Float32Array>(), scale = object.Get("scale").As<Napi::Float32Array>();
  const size_t channels = shape.size() > 1 ? shape[1] : 0;
  if (input.type != DataType::uint8 || channels == 0 || channels > Normalisation::kChannels ||
      mean.ElementLength() != channels || scale.ElementLength() != channels)
    throw Error("argument/invalid",
                "Expected bytes with at most 4 channels, and a mean and a scale per channel, for " + what);
  input.normalisation.emplace();
  std::copy_n(mean.Data(), channels, input.normalisation->mean);
  std::copy_n(scale.Data(), channels, input.normalisation->scale);
  return input;
}

// A Float32Array or a buffer that receives an output.
RunOutput outputFromJs(const Napi::Value& value, const Tensor& tensor, const std::shared_ptr<Device>& device,
                       RunState& state) {
  const size_t count = elementCount(tensor.shape);
  const std::string what = "output \"" + tensor.name + "\"";
  if (!value.IsTypedArray()) return {nullptr, bufferArgument(value, device, count * sizeof(float), what)};
  const auto [type, length, data] = valuesOf(value.As<Napi::TypedArray>());
  if (type != napi_float32_array || length != count)
    throw Error("argument/invalid", "Expected a Float32Array of " + std::to_string(count) + " values for " + what);
  state.lent.push_back(Napi::Persistent(value.As<Napi::TypedArray>()));
  return {reinterpret_cast<float*>(data), nullptr};
}

// run(inputs, outputs, copyInputs, milliseconds): see NativeExecutable in ts/native/binding.ts.
Napi::Value run(const Napi::CallbackInfo& info, const std::shared_ptr<Device>& device,
                const std::shared_ptr<const Program>& program, const std::shared_ptr<Handle<Executable>>& handle,
                const std::shared_ptr<Runs>& runs) {
  const Napi::Env env = info.Env();
  const auto executable = held<Executable>(info.This(), kExecutableTag, "model");
  // The thread of a closing device may already be gone, with all that it owns.
  const bool hasPlaces = runs->unsettled.empty() && !device->closing;
  auto state = std::make_shared<RunState>();
  const Napi::Array inputs = info[0].As<Napi::Array>(), outputs = info[1].As<Napi::Array>();
  const bool copies = info[2].ToBoolean();
  if (inputs.Length() != program->inputs.size() || outputs.Length() != program->outputs.size())
    throw Error("argument/invalid", "The number of inputs or outputs does not fit the program");
  for (uint32_t i = 0; i < program->inputs.size(); ++i) {
    const Tensor& tensor = program->tensors[program->inputs[i]];
    float* place = hasPlaces ? executable->inputPlace(i) : nullptr;
    state->request.inputs.push_back(inputFromJs(inputs.Get(i), tensor, copies, place, device, *state));
  }
  for (uint32_t i = 0; i < program->outputs.size(); ++i)
    state->request.outputs.push_back(
        outputFromJs(outputs.Get(i), program->tensors[program->outputs[i]], device, *state));
  if (info[3].IsTypedArray()) {
    const auto [type, length, data] = valuesOf(info[3].As<Napi::TypedArray>());
    if (type != napi_float64_array || length != program->operations.size())
      throw Error("argument/invalid", "Expected a Float64Array with a value for each operation");
    state->milliseconds = reinterpret_cast<double*>(data);
    state->lent.push_back(Napi::Persistent(info[3].As<Napi::TypedArray>()));
    state->request.milliseconds = &state->measured;
  }
  state->request.cancelled = &state->cancelled;
  // V8 must know of the copies in the queue, or it would see no reason to collect the objects that hold them.
  int64_t copied = 0;
  for (const std::vector<char>& each : state->copies) copied += static_cast<int64_t>(each.size());
  if (copied > 0) Napi::MemoryManagement::AdjustExternalMemory(env, copied);
  const auto functions = program->functions;
  const auto cancel = [run = std::weak_ptr(state), functions] {
    const auto cancelled = run.lock();
    if (!cancelled) return;
    cancelled->cancelled = true;
    if (functions) functions->cancel(&cancelled->cancelled);
  };
  const uint32_t number = runs->next++;
  runs->unsettled.emplace(number, cancel);
  const Napi::Promise done = submitRun(
      env, device,
      // A run that was cancelled before it began is still started, because other processes may count on it.
      [state, executable, functions] {
        const Attendance attendance(functions, state->cancelled);
        return executable->start(state->request);
      },
      cancel,
      [state] {
        state->request.inputs.clear();
        state->request.outputs.clear();
        state->copies = {};
      },
      [copied, runs, number](Napi::Env loop) {
        runs->unsettled.erase(number);
        if (copied > 0) Napi::MemoryManagement::AdjustExternalMemory(loop, -copied);
      },
      [state, handle](Napi::Env loop) -> Napi::Value {
        // The run may have allocated staging memory.
        if (handle->pointer) handle->report(loop, static_cast<int64_t>(handle->pointer->hostBytes()));
        std::copy(state->measured.begin(), state->measured.end(), state->milliseconds);
        return loop.Undefined();
      });
  Napi::Object started = Napi::Object::New(env);
  started.Set("done", done);
  started.Set("number", number);
  return started;
}

}  // namespace

Napi::Value executableToJs(Napi::Env env, const std::shared_ptr<Device>& device,
                           const std::shared_ptr<const Program>& program,
                           const std::shared_ptr<Executable>& executable) {
  Napi::Object object = Napi::Object::New(env);
  const auto handle = holdOn(device, object, executable, kExecutableTag);
  handle->report(env, static_cast<int64_t>(executable->hostBytes()));
  remember(device->executables, handle);
  const auto runs = std::make_shared<Runs>();
  method(object, "run", [device, program, handle, runs](const Napi::CallbackInfo& info) -> Napi::Value {
    return run(info, device, program, handle, runs);
  });
  // One method for all runs. Creating a function for each run would take V8 longer than the rest of the call.
  method(object, "cancel", [runs](const Napi::CallbackInfo& info) -> Napi::Value {
    const auto found = runs->unsettled.find(info[0].ToNumber().Uint32Value());
    if (found != runs->unsettled.end()) found->second();
    return info.Env().Undefined();
  });
  object.Set("bytes", static_cast<double>(executable->arenaBytes() + executable->workspaceBytes()));
  return object;
}

}  // namespace resnode
