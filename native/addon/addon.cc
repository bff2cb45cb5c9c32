// The N-API surface: ts/native/binding.ts is its contract. Objects are closures over shared pointers, so that a
// job that still runs keeps what it needs, and dispose() only lets go.
#include <napi.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <set>

#include "core/error.h"
#include "device/device-thread.h"
#include "device/load-backend.h"
#include "image-from-js.h"
#include "map-file.h"
#include "program-from-js.h"
#include "reference/backend.h"

namespace resnode {
namespace {

// Type tags, so that a foreign object can never be taken for one of ours.
constexpr napi_type_tag kPlanTag = {0x6a1c5f0e9d3b4e21, 0x8f27c4d1b6a09e53};
constexpr napi_type_tag kParametersTag = {0x2f9b7d4c1e8a4063, 0xb1d35e6f7a2c8094};

Napi::Error toJsError(Napi::Env env, const std::string& code, const std::string& message, const std::string& layer) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  if (!layer.empty()) error.Set("layer", layer);
  return error;
}

template <class T>
void hold(const Napi::Object& object, std::shared_ptr<T> value, const napi_type_tag& tag) {
  auto* holder = new std::shared_ptr<T>(std::move(value));
  napi_wrap(object.Env(), object, holder, [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); },
            nullptr, nullptr);
  napi_type_tag_object(object.Env(), object, &tag);
}

template <class T>
std::shared_ptr<T>& held(const Napi::Value& value, const napi_type_tag& tag, const char* name) {
  bool matches = false;
  void* data = nullptr;
  if (value.IsObject()) napi_check_object_type_tag(value.Env(), value, &tag, &matches);
  if (!matches || napi_unwrap(value.Env(), value, &data) != napi_ok) {
    throw Error("argument/invalid", std::string("Expected an object of this addon for ") + name);
  }
  auto& pointer = *static_cast<std::shared_ptr<T>*>(data);
  if (!pointer) throw Error("device/disposed", std::string("The ") + name + " was disposed");
  return pointer;
}

// A device as one JavaScript environment sees it.
struct Device {
  std::string kind;
  std::unique_ptr<DeviceThread> thread;
  Napi::ThreadSafeFunction settle;
  int pending = 0;  // JavaScript thread only: the event loop stays alive while jobs wait
  std::vector<std::weak_ptr<Parameters>> parameters;
  std::vector<std::weak_ptr<Executable>> executables;
};

// Runs `work` on the device thread and settles a promise with `finish` on the event loop.
template <class Result>
Napi::Promise submit(Napi::Env env, const std::shared_ptr<Device>& device, std::function<Result(Backend&)> work,
                     std::function<Napi::Value(Napi::Env, Result&)> finish) {
  struct State {
    Napi::Promise::Deferred deferred;
    std::shared_ptr<Device> device;
    std::function<Napi::Value(Napi::Env, Result&)> finish;
    Result result{};
    bool failed = false;
    std::string code, message, layer;
  };
  auto state = std::shared_ptr<State>(new State{Napi::Promise::Deferred::New(env), device, std::move(finish)});
  const Napi::Promise promise = state->deferred.Promise();
  const bool taken = device->thread->post([state, work = std::move(work)](Backend& backend) {
    const auto fail = [&](std::string code, std::string message, std::string layer) {
      state->failed = true;
      state->code = std::move(code);
      state->message = std::move(message);
      state->layer = std::move(layer);
    };
    try {
      state->result = work(backend);
    } catch (const Error& error) {
      fail(error.code(), error.what(), error.layer());
    } catch (const std::bad_alloc&) {
      fail("device/out-of-memory", "Not enough memory", "");
    } catch (const std::exception& error) {
      fail("device/failed", error.what(), "");
    }
    state->device->settle.NonBlockingCall([state](Napi::Env loop, Napi::Function) {
      Napi::HandleScope scope(loop);
      if (--state->device->pending == 0) state->device->settle.Unref(loop);
      try {
        if (state->failed) state->deferred.Reject(toJsError(loop, state->code, state->message, state->layer).Value());
        else state->deferred.Resolve(state->finish(loop, state->result));
      } catch (const Napi::Error& error) {
        state->deferred.Reject(error.Value());
      }
    });
  });
  if (!taken) {
    state->deferred.Reject(toJsError(env, "device/closed", "The " + device->kind + " device is closed", "").Value());
    return promise;
  }
  if (device->pending++ == 0) device->settle.Ref(env);
  return promise;
}

template <class Function>
void method(const Napi::Object& object, const char* name, Function function) {
  object.Set(name, Napi::Function::New(object.Env(), [function](const Napi::CallbackInfo& info) -> Napi::Value {
    try {
      return function(info);
    } catch (const Error& error) {
      throw toJsError(info.Env(), error.code(), error.what(), error.layer());
    }
  }, name));
}

template <class Function>
void getter(const Napi::Object& object, const char* name, Function function) {
  object.DefineProperty(Napi::PropertyDescriptor::Accessor(object.Env(), object, name,
      [function](const Napi::CallbackInfo& info) { return function(info); }, napi_enumerable));
}

Napi::Value planToJs(Napi::Env env, const std::shared_ptr<Plan>& plan) {
  const PlanDescription& description = plan->description();
  Napi::Object object = Napi::Object::New(env);
  Napi::Array buffers = Napi::Array::New(env), tensors = Napi::Array::New(env), implementations = Napi::Array::New(env);
  for (uint32_t i = 0; i < description.buffers.size(); ++i) {
    const PlannedBuffer& buffer = description.buffers[i];
    Napi::Object each = Napi::Object::New(env);
    each.Set("name", buffer.name);
    each.Set("bytes", static_cast<double>(buffer.bytes));
    each.Set("from", buffer.from);
    each.Set("to", buffer.to);
    buffers.Set(i, each);
  }
  for (uint32_t i = 0; i < description.tensorBuffers.size(); ++i) tensors.Set(i, description.tensorBuffers[i]);
  for (uint32_t i = 0; i < description.implementations.size(); ++i) implementations.Set(i, description.implementations[i]);
  object.Set("buffers", buffers);
  object.Set("tensorBuffers", tensors);
  object.Set("implementations", implementations);
  object.Set("workspaceBytes", static_cast<double>(description.workspaceBytes));
  object.Set("parameterBytes", static_cast<double>(description.parameterBytes));
  hold(object, plan, kPlanTag);
  method(object, "dispose", [](const Napi::CallbackInfo& info) -> Napi::Value {
    void* data = nullptr;
    if (napi_unwrap(info.Env(), info.This(), &data) == napi_ok) static_cast<std::shared_ptr<Plan>*>(data)->reset();
    return info.Env().Undefined();
  });
  return object;
}

Napi::Value parametersToJs(Napi::Env env, const std::shared_ptr<Device>& device, const std::shared_ptr<const Program>& program,
                           const std::shared_ptr<Parameters>& parameters) {
  Napi::Object object = Napi::Object::New(env);
  hold(object, parameters, kParametersTag);
  device->parameters.push_back(parameters);
  method(object, "read", [device, program](const Napi::CallbackInfo& info) -> Napi::Value {
    auto pointer = held<Parameters>(info.This(), kParametersTag, "parameters");
    const uint32_t id = info[0].ToNumber().Uint32Value();
    if (id >= program->parameters.size()) throw Error("argument/invalid", "parameter " + std::to_string(id) + " does not exist");
    const size_t count = elementCount(program->parameters[id].shape);
    return submit<std::vector<float>>(info.Env(), device,
        [pointer, id, count](Backend&) {
          std::vector<float> values(count);
          pointer->read(static_cast<ParameterId>(id), values.data());
          return values;
        },
        [](Napi::Env loop, std::vector<float>& values) -> Napi::Value {
          auto array = Napi::Float32Array::New(loop, values.size());
          std::copy(values.begin(), values.end(), array.Data());
          return array;
        });
  });
  getter(object, "bytes", [weak = std::weak_ptr<Parameters>(parameters)](const Napi::CallbackInfo& info) -> Napi::Value {
    const auto pointer = weak.lock();
    return Napi::Number::New(info.Env(), pointer ? static_cast<double>(pointer->bytes()) : 0);
  });
  method(object, "dispose", [](const Napi::CallbackInfo& info) -> Napi::Value {
    void* data = nullptr;
    if (napi_unwrap(info.Env(), info.This(), &data) == napi_ok) static_cast<std::shared_ptr<Parameters>*>(data)->reset();
    return info.Env().Undefined();
  });
  return object;
}

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

Napi::Value executableToJs(Napi::Env env, const std::shared_ptr<Device>& device, const std::shared_ptr<const Program>& program,
                           const std::shared_ptr<Executable>& executable) {
  Napi::Object object = Napi::Object::New(env);
  auto holder = std::make_shared<std::shared_ptr<Executable>>(executable);
  const auto bytes = static_cast<int64_t>(executable->arenaBytes() + executable->workspaceBytes());
  device->executables.push_back(executable);
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
  method(object, "run", [device, program, holder](const Napi::CallbackInfo& info) -> Napi::Value {
    if (!*holder) throw Error("device/disposed", "The model was disposed");
    return run(info, device, program, *holder);
  });
  object.Set("bytes", static_cast<double>(bytes));
  method(object, "dispose", [holder, bytes](const Napi::CallbackInfo& info) -> Napi::Value {
    if (*holder) Napi::MemoryManagement::AdjustExternalMemory(info.Env(), -bytes);
    holder->reset();
    return info.Env().Undefined();
  });
  return object;
}

std::vector<ParameterSource> sourcesFromJs(const Napi::Array& list, const Program& program) {
  std::vector<ParameterSource> sources;
  if (list.Length() != program.parameters.size()) throw Error("argument/invalid", "The number of parameters does not fit the program");
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Object each = list.Get(i).As<Napi::Object>();
    const Napi::Uint8Array bytes = each.Get("bytes").As<Napi::Uint8Array>();
    ParameterSource source;
    source.type = each.Get("dtype").ToString().Utf8Value() == "float64" ? DataType::float64 : DataType::float32;
    const size_t size = source.type == DataType::float64 ? sizeof(double) : sizeof(float);
    const int64_t count = elementCount(program.parameters[i].shape);
    if (bytes.ByteLength() != count * size) throw Error("argument/invalid", "Parameter \"" + program.parameters[i].name + "\" has the wrong number of bytes");
    source.owner = mappingOf(bytes.Data(), bytes.ByteLength());
    source.mapped = source.owner != nullptr;
    source.bytes = bytes.Data();
    if (!source.mapped) {
      auto copy = std::make_shared<std::vector<unsigned char>>(bytes.Data(), bytes.Data() + bytes.ByteLength());
      source.bytes = copy->data();
      source.owner = copy;
    }
    const Napi::Value scale = each.Get("channelScale");
    if (scale.IsTypedArray()) {
      const auto factors = scale.As<Napi::Float64Array>();
      source.channelScale.assign(factors.Data(), factors.Data() + factors.ElementLength());
      if (source.channelScale.empty() || count % source.channelScale.size() != 0) throw Error("argument/invalid", "A channelScale does not fit its parameter");
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

// The devices of one environment; its clean-up hook joins their threads before anything they use goes away.
struct Environment {
  std::set<std::shared_ptr<Device>> devices;
};

Napi::Value openDevice(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string kind = info[0].ToString().Utf8Value();
  const Napi::Object options = info[1].As<Napi::Object>();
  const BackendOptions backendOptions{options.Get("threads").ToNumber().Int32Value()};
  const std::string folder = options.Get("libraryFolder").ToString().Utf8Value();
  auto device = std::make_shared<Device>();
  device->kind = kind;
  device->thread = std::make_unique<DeviceThread>([kind, folder, backendOptions] {
    return kind == "reference" ? reference::createBackend() : loadBackend(kind, folder, backendOptions);
  });
  device->settle = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "resnode device", 0, 1);
  device->settle.Unref(env);
  auto* environment = env.GetInstanceData<Environment>();
  environment->devices.insert(device);

  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", kind);
  Napi::Object description = Napi::Object::New(env);
  for (const auto& [name, value] : device->thread->description()) description.Set(name, value);
  object.Set("description", description);
  method(object, "prepare", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    auto program = programFromJs(call[0].As<Napi::Object>());
    return submit<std::shared_ptr<Plan>>(call.Env(), device, [program](Backend& backend) { return backend.plan(program); },
        [](Napi::Env loop, std::shared_ptr<Plan>& plan) { return planToJs(loop, plan); });
  });
  method(object, "createParameters", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    auto program = programFromJs(call[0].As<Napi::Object>());
    auto sources = std::make_shared<std::vector<ParameterSource>>(sourcesFromJs(call[1].As<Napi::Array>(), *program));
    return submit<std::shared_ptr<Parameters>>(call.Env(), device,
        [program, sources](Backend& backend) { return backend.createParameters(program, std::move(*sources)); },
        [device, program](Napi::Env loop, std::shared_ptr<Parameters>& parameters) { return parametersToJs(loop, device, program, parameters); });
  });
  method(object, "compile", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    auto plan = held<Plan>(call[0], kPlanTag, "plan");
    auto parameters = held<Parameters>(call[1], kParametersTag, "parameters");
    const auto values = call[2].As<Napi::Float64Array>();
    std::vector<size_t> offsets(values.Data(), values.Data() + values.ElementLength());
    const size_t arenaBytes = static_cast<size_t>(call[3].ToNumber().DoubleValue());
    const auto& buffers = plan->description().buffers;
    bool fits = offsets.size() == buffers.size();
    for (size_t i = 0; fits && i < buffers.size(); ++i) fits = offsets[i] % 64 == 0 && offsets[i] + buffers[i].bytes <= arenaBytes;
    if (!fits) throw Error("argument/invalid", "The offsets do not fit the plan");
    auto program = std::shared_ptr<const Program>(plan, &plan->program());
    return submit<std::shared_ptr<Executable>>(call.Env(), device,
        [plan, parameters, offsets, arenaBytes](Backend& backend) { return backend.compile(plan, parameters, offsets, arenaBytes); },
        [device, program](Napi::Env loop, std::shared_ptr<Executable>& executable) { return executableToJs(loop, device, program, executable); });
  });
  method(object, "memory", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    double parameters = 0, activations = 0, workspace = 0;
    for (const auto& weak : device->parameters) if (const auto each = weak.lock()) parameters += static_cast<double>(each->bytes());
    for (const auto& weak : device->executables) {
      if (const auto each = weak.lock()) {
        activations += static_cast<double>(each->arenaBytes());
        workspace += static_cast<double>(each->workspaceBytes());
      }
    }
    Napi::Object memory = Napi::Object::New(call.Env());
    memory.Set("parameters", parameters);
    memory.Set("activations", activations);
    memory.Set("workspace", workspace);
    return memory;
  });
  method(object, "dispose", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    device->thread->close();
    return call.Env().Undefined();
  });
  return object;
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment();
  env.SetInstanceData<Environment>(environment);
  env.AddCleanupHook([environment] {
    for (const auto& device : environment->devices) device->thread->stop();
  });
  exports.Set("version", "0.1.0");
  exports.Set("openDevice", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
    try {
      return openDevice(info);
    } catch (const Error& error) {
      throw toJsError(info.Env(), error.code(), error.what(), error.layer());
    }
  }, "openDevice"));
  exports.Set("mapFile", Napi::Function::New(env, mapFile, "mapFile"));
  exports.Set("prepareImage", Napi::Function::New(env, prepareImage, "prepareImage"));
  exports.Set("resizeImage", Napi::Function::New(env, resizeImage, "resizeImage"));
  return exports;
}

NODE_API_MODULE(resnode, initialise)

}  // namespace
}  // namespace resnode
