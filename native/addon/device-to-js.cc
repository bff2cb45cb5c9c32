#include "native/addon/device-to-js.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "native/addon/buffer-to-js.h"
#include "native/addon/communicator-to-js.h"
#include "native/addon/executable-to-js.h"
#include "native/addon/host-functions-from-js.h"
#include "native/addon/parameters-to-js.h"
#include "native/addon/plan-to-js.h"
#include "native/addon/program-from-js.h"
#include "native/device/load-libraries.h"
#include "native/reference/backend.h"

namespace resnode {
namespace {

// Closes after the queued work. Then the thread, its backend and the device are released.
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

Napi::Value driverMemoryToJs(Napi::Env env, const DriverMemory& memory) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("free", static_cast<double>(memory.free));
  object.Set("total", static_cast<double>(memory.total));
  return object;
}

void rememberFiles(Device& device, const std::shared_ptr<Parameters>& parameters, const MappedFiles& files) {
  auto& list = device.files;
  list.erase(std::remove_if(list.begin(), list.end(),
                            [](const auto& each) { return each.first.expired() || each.second.expired(); }),
             list.end());
  for (const auto& file : files) list.emplace_back(parameters, file);
}

MappedFiles filesOf(const Device& device, const std::shared_ptr<Parameters>& parameters) {
  MappedFiles files;
  for (const auto& [owner, file] : device.files) {
    const auto held = file.lock();
    if (held && owner.lock() == parameters) files.push_back(held);
  }
  return files;
}

// [[name, value], ...]
Napi::Array pairsToJs(Napi::Env env, const std::vector<std::pair<std::string, std::string>>& pairs) {
  Napi::Array array = Napi::Array::New(env);
  for (uint32_t i = 0; i < pairs.size(); ++i) {
    Napi::Array pair = Napi::Array::New(env);
    pair.Set(0u, pairs[i].first);
    pair.Set(1u, pairs[i].second);
    array.Set(i, pair);
  }
  return array;
}

std::vector<float> floatsFromJs(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  const auto array = value.As<Napi::Float32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

Quantization quantizationFromJs(const Napi::Value& value) {
  Quantization quantization;
  if (!value.IsObject()) return quantization;
  const Napi::Object object = value.As<Napi::Object>();
  quantization.tensors = floatsFromJs(object.Get("tensors"));
  const Napi::Array parameters = object.Get("parameters").As<Napi::Array>();
  for (uint32_t i = 0; i < parameters.Length(); ++i) quantization.parameters.push_back(floatsFromJs(parameters.Get(i)));
  return quantization;
}

Precision precisionFromJs(const Napi::Object& options) {
  const std::string precision = options.Get("precision").ToString().Utf8Value();
  return precision == "tf32"       ? Precision::tf32
         : precision == "float16"  ? Precision::float16
         : precision == "bfloat16" ? Precision::bfloat16
         : precision == "int8"     ? Precision::int8
                                   : Precision::float32;
}

OperationBench operationBenchFromJs(const Napi::Object& options) {
  const auto integer = [&](const char* name) { return options.Get(name).ToNumber().Int64Value(); };
  OperationBench bench;
  bench.kind = options.Get("kind").ToString().Utf8Value();
  bench.precision = precisionFromJs(options);
  for (const auto& [name, place] :
       {std::pair("n", &bench.n), std::pair("c", &bench.c), std::pair("h", &bench.h), std::pair("w", &bench.w),
        std::pair("outputs", &bench.outputs), std::pair("kernel", &bench.kernel), std::pair("stride", &bench.stride),
        std::pair("pad", &bench.pad)}) {
    *place = integer(name);
  }
  bench.runs = static_cast<int>(integer("runs"));
  bench.rotatedBytes = static_cast<size_t>(integer("rotatedBytes"));
  bench.tune = options.Get("tune").ToBoolean();
  return bench;
}

Napi::Value operationVariantsToJs(Napi::Env env, const std::vector<OperationVariant>& variants) {
  Napi::Array array = Napi::Array::New(env, variants.size());
  for (uint32_t i = 0; i < variants.size(); ++i) {
    const OperationVariant& variant = variants[i];
    Napi::Array times = Napi::Array::New(env, variant.microseconds.size());
    for (uint32_t k = 0; k < variant.microseconds.size(); ++k) times.Set(k, variant.microseconds[k]);
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", variant.name);
    object.Set("launches", variant.launches);
    object.Set("bytes", variant.bytes);
    object.Set("worst", variant.worst);
    object.Set("microseconds", times);
    array.Set(i, object);
  }
  return array;
}

PlanOptions planOptionsFromJs(const Napi::Object& options) {
  return {precisionFromJs(options), options.Get("deterministic").ToBoolean(), options.Get("tune").ToBoolean(),
          quantizationFromJs(options.Get("quantization"))};
}

}  // namespace

void closeAll(Environment& environment) {
  abandonHostCalls(environment);
  for (const auto& device : environment.devices) {
    device->closing = true;
    for (const auto& pending : device->pending) pending->cancel();
    device->thread->stop();
    for (const auto& pending : device->pending) pending->abandon();
    device->pending.clear();
    device->settle.Release();
  }
  if (environment.devices.empty()) return;
  environment.devices.clear();
#ifdef __GLIBC__
  malloc_trim(0);  // threads that come and go scatter their freed memory over glibc's arenas
#endif
}

Napi::Value listDevices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DeviceList list = listDevices(info[0].ToString().Utf8Value(), info[1].ToString().Utf8Value());
  Napi::Array devices = Napi::Array::New(env);
  for (uint32_t i = 0; i < list.devices.size(); ++i) {
    const DeviceInfo& each = list.devices[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("ordinal", each.ordinal);
    object.Set("name", each.name);
    object.Set("computeCapability", each.computeCapability);
    object.Set("memory", driverMemoryToJs(env, each.memory));
    object.Set("properties", pairsToJs(env, each.properties));
    devices.Set(i, object);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("devices", devices);
  object.Set("cudnnTried", pairsToJs(env, list.cudnnTried));
  for (const auto& [name, value] :
       {std::pair("driver", list.driver), std::pair("runtime", list.runtime),
        std::pair("cudnnVersion", list.cudnnVersion), std::pair("cudnnPath", list.cudnnPath),
        std::pair("problem", list.problem), std::pair("library", list.library)}) {
    object.Set(name, value.empty() ? env.Null() : Napi::String::New(env, value).As<Napi::Value>());
  }
  return object;
}

Napi::Value openDevice(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string kind = info[0].ToString().Utf8Value();
  const Napi::Object options = info[1].As<Napi::Object>();
  BackendOptions backendOptions;
  backendOptions.threads = options.Get("threads").ToNumber().Int32Value();
  backendOptions.kernels = options.Get("kernels").ToString().Utf8Value();
  backendOptions.winograd = options.Get("winograd").ToBoolean();
  backendOptions.ordinal = options.Get("ordinal").ToNumber().Int32Value();
  backendOptions.cacheFolder = options.Get("cacheFolder").ToString().Utf8Value();
  backendOptions.deterministic = options.Get("deterministic").ToBoolean();
  backendOptions.cudnn = options.Get("cudnn").ToBoolean();
  backendOptions.planMemory = static_cast<size_t>(options.Get("planMemory").ToNumber().DoubleValue());
  const std::string folder = options.Get("libraryFolder").ToString().Utf8Value();
  auto device = std::make_shared<Device>();
  device->communicator = communicatorFromJs(options.Get("communicator"));
  device->kind = kind;
  device->thread = std::make_unique<DeviceThread>([kind, folder, backendOptions] {
    return kind == "reference" ? reference::createBackend() : loadBackend(kind, folder, backendOptions);
  });
  device->settle = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}),
                                                 "resnode device", 0, 1);
  device->settle.Unref(env);
  env.GetInstanceData<Environment>()->devices.insert(device);

  Napi::Object object = Napi::Object::New(env);
  napi_wrap(
      env, object, new std::shared_ptr<Device>(device),
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
    auto program = programFromJs(call[0], device->communicator, hostFunctionsFromJs(call.Env(), call[3]));
    PlanOptions planOptions = planOptionsFromJs(call[1].As<Napi::Object>());
    if (call[2].IsObject()) planOptions.like = held<Plan>(call[2], kPlanTag, "plan");
    return submit<std::shared_ptr<Plan>>(
        call.Env(), device, [program, planOptions](Backend& backend) { return backend.plan(program, planOptions); },
        [device](Napi::Env loop, std::shared_ptr<Plan>& plan) { return planToJs(loop, device, plan); });
  });
  method(object, "createParameters", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    auto program = programFromJs(call[0], device->communicator);
    auto files = std::make_shared<MappedFiles>();
    auto sources =
        std::make_shared<std::vector<ParameterSource>>(sourcesFromJs(call[1].As<Napi::Array>(), *program, *files));
    return submit<std::shared_ptr<Parameters>>(
        call.Env(), device,
        [program, sources, files](Backend& backend) {
          auto parameters = backend.createParameters(program, std::move(*sources));
          checkIntact(*files);
          return parameters;
        },
        [device, program, files](Napi::Env loop, std::shared_ptr<Parameters>& parameters) {
          rememberFiles(*device, parameters, *files);
          return parametersToJs(loop, device, program, parameters);
        });
  });
  method(object, "compile", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    auto plan = held<Plan>(call[0], kPlanTag, "plan");
    auto handle = handleOf<Parameters>(call[1], kParametersTag, "parameters");
    auto parameters = held<Parameters>(call[1], kParametersTag, "parameters");
    auto program = std::shared_ptr<const Program>(plan, &plan->program());
    return submit<std::shared_ptr<Executable>>(
        call.Env(), device,
        [plan, parameters, files = filesOf(*device, parameters)](Backend& backend) {
          auto executable = backend.compile(plan, parameters);
          checkIntact(files);
          return executable;
        },
        [device, program, handle](Napi::Env loop, std::shared_ptr<Executable>& executable) {
          // Packing has changed how many bytes the parameters hold.
          if (handle->pointer) handle->report(loop, static_cast<int64_t>(handle->pointer->hostBytes()));
          return executableToJs(loop, device, program, executable);
        });
  });
  method(object, "allocateBuffer", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    const size_t bytes = static_cast<size_t>(call[0].ToNumber().DoubleValue());
    return submit<std::shared_ptr<Buffer>>(
        call.Env(), device, [bytes](Backend& backend) { return backend.allocateBuffer(bytes); },
        [device](Napi::Env loop, std::shared_ptr<Buffer>& buffer) { return bufferToJs(loop, device, buffer); });
  });
  method(object, "benchOperation", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    const Napi::Object options = call[0].As<Napi::Object>();
    const OperationBench bench = operationBenchFromJs(options);
    return submit<std::vector<OperationVariant>>(
        call.Env(), device, [bench](Backend& backend) { return backend.benchOperation(bench); },
        [](Napi::Env loop, std::vector<OperationVariant>& variants) { return operationVariantsToJs(loop, variants); });
  });
  method(object, "memory", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    const auto sum = [](const auto& handles, auto bytesOf) {
      double total = 0;
      for (const auto& weak : handles) {
        if (const auto handle = weak.lock(); handle && handle->pointer)
          total += static_cast<double>(bytesOf(*handle->pointer));
      }
      return total;
    };
    Napi::Object memory = Napi::Object::New(call.Env());
    memory.Set("parameters", sum(device->parameters, [](const Parameters& each) { return each.bytes(); }));
    memory.Set("activations", sum(device->executables, [](const Executable& each) { return each.arenaBytes(); }));
    memory.Set("workspace", sum(device->executables, [](const Executable& each) { return each.workspaceBytes(); }));
    memory.Set("buffers", sum(device->buffers, [](const OwnedBuffer& each) { return each.buffer->bytes(); }));
    memory.Set("pinned", sum(device->executables, [](const Executable& each) { return each.pinnedBytes(); }));
    const auto backend = device->thread->backend();
    const DriverMemory driver = backend ? backend->driverMemory() : DriverMemory{};
    memory.Set("driver", driver.total == 0 ? call.Env().Null() : driverMemoryToJs(call.Env(), driver));
    return memory;
  });
  method(object, "dispose", [device](const Napi::CallbackInfo& call) -> Napi::Value {
    close(device);
    return call.Env().Undefined();
  });
  return object;
}

}  // namespace resnode
