// The N-API surface, as ts/native/binding.ts declares it. A running job keeps what it needs alive by shared pointers;
// dispose() only drops the handle's reference.
#include <napi.h>

#include "native/addon/communicator-to-js.h"
#include "native/addon/device-to-js.h"
#include "native/addon/host-memory.h"
#include "native/addon/image-from-js.h"
#include "native/addon/tuning-cache-to-js.h"

namespace resnode {
namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment();
  env.SetInstanceData<Environment>(environment);
  env.AddCleanupHook([environment] { closeAll(*environment); });
  exports.Set("version", kVersion);
  method(exports, "openDevice", openDevice);
  method(exports, "listDevices", [](const Napi::CallbackInfo& info) { return listDevices(info); });
  method(exports, "openCommunicator", openCommunicator);
  method(exports, "allocateMemory", allocateMemory);
  method(exports, "mapFile", mapFile);
  method(exports, "isIntact", isIntact);
  method(exports, "isOfFile", isOfFile);
  method(exports, "countTuningCacheLines", countTuningCacheLines);
  method(exports, "mapScores", mapScores);
  method(exports, "prepareImage", prepareImage);
  method(exports, "resizeImage", resizeImage);
  return exports;
}

NODE_API_MODULE(resnode, initialise)

}  // namespace
}  // namespace resnode
