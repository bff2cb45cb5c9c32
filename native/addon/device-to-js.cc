#include "device-to-js.h"

#include "device/load-backend.h"
#include "executable-to-js.h"
#include "parameters-to-js.h"
#include "plan-to-js.h"
#include "program-from-js.h"
#include "reference/backend.h"

namespace resnode {
namespace {

// Closes behind the work that is queued; then the thread, its backend and the device go.
void close(const std::shared_ptr<Device>& device) {
  if (device->closing) return;
  device->closing = true;
  device->thread->post([device](Backend&) {
    device->settle.NonBlockingCall([device](Napi::Env env, Napi::Function) {
      device->thread->stop();
      env.GetInstanceData<Environment>()->devices.erase(device);
      device->settle.Release();
    });
  });
  device->thread->close();
}

}  // namespace

Napi::Value openDevice(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string kind = info[0].ToString().Utf8Value();
  const Napi::Object options = info[1].As<Napi::Object>();
  const BackendOptions backendOptions{options.Get("threads").ToNumber().Int32Value(), options.Get("winograd").ToBoolean()};
  const std::string folder = options.Get("libraryFolder").ToString().Utf8Value();
  auto device = std::make_shared<Device>();
  device->kind = kind;
  device->thread = std::make_unique<DeviceThread>([kind, folder, backendOptions] {
    return kind == "reference" ? reference::createBackend() : loadBackend(kind, folder, backendOptions);
  });
  device->settle = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "resnode device", 0, 1);
  device->settle.Unref(env);
  env.GetInstanceData<Environment>()->devices.insert(device);

  Napi::Object object = Napi::Object::New(env);
  napi_wrap(env, object, new std::shared_ptr<Device>(device),
            [](napi_env, void* data, void*) {
              auto* wrapped = static_cast<std::shared_ptr<Device>*>(data);
              close(*wrapped);
              delete wrapped;
            },
            nullptr, nullptr);
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
    auto handle = handleOf<Parameters>(call[1], kParametersTag, "parameters");
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
        [device, program, handle](Napi::Env loop, std::shared_ptr<Executable>& executable) {
          // Packing has changed what the parameters hold.
          if (handle->pointer) handle->report(loop, static_cast<int64_t>(handle->pointer->bytes()));
          return executableToJs(loop, device, program, executable);
        });
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
    close(device);
    return call.Env().Undefined();
  });
  return object;
}

}  // namespace resnode
