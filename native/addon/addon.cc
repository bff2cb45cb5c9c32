// The N-API surface: ts/native/binding.ts is its contract. A job that still runs keeps what it needs by shared
// pointers; dispose() only lets go.
#include <napi.h>

#include "communicator-to-js.h"
#include "device-to-js.h"
#include "host-memory.h"
#include "image-from-js.h"

namespace resnode {
namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment();
  env.SetInstanceData<Environment>(environment);
  env.AddCleanupHook([environment] {
    for (const auto& device : environment->devices) device->thread->stop();
  });
  exports.Set("version", kVersion);
  exports.Set("openDevice", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
    try {
      return openDevice(info);
    } catch (const Error& error) {
      throw toJsError(info.Env(), error.code(), error.what(), error.layer());
    }
  }, "openDevice"));
  exports.Set("listDevices", Napi::Function::New(env, [](const Napi::CallbackInfo& info) { return listDevices(info); }, "listDevices"));
  exports.Set("openCommunicator", Napi::Function::New(env, openCommunicator, "openCommunicator"));
  exports.Set("allocateMemory", Napi::Function::New(env, allocateMemory, "allocateMemory"));
  exports.Set("mapFile", Napi::Function::New(env, mapFile, "mapFile"));
  exports.Set("prepareImage", Napi::Function::New(env, prepareImage, "prepareImage"));
  exports.Set("resizeImage", Napi::Function::New(env, resizeImage, "resizeImage"));
  return exports;
}

NODE_API_MODULE(resnode, initialise)

}  // namespace
}  // namespace resnode
