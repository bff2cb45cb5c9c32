#include "native/addon/tuning-cache-to-js.h"

#include "native/core/tuning-cache.h"

namespace resnode {

Napi::Value countTuningCacheLines(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const auto [all, damaged] = countLines({reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength()});
  auto lines = Napi::Object::New(info.Env());
  lines["lines"] = static_cast<double>(all);
  lines["damaged"] = static_cast<double>(damaged);
  return lines;
}

}  // namespace resnode
