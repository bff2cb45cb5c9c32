#include "native/addon/parameters-to-js.h"

#include <algorithm>

#include "native/addon/host-memory.h"

namespace resnode {

void checkIntact(const MappedFiles& files) {
  for (const auto& file : files) {
    if (!file->intact()) {
      throw Error("weights/changed", file->path() +
                                         ": the file was written to or cut short while its values were read; load it "
                                         "again, and write new versions beside it and rename them");
    }
  }
}

std::vector<ParameterSource> sourcesFromJs(const Napi::Array& list, const Program& program, MappedFiles& files) {
  std::vector<ParameterSource> sources;
  if (list.Length() != program.parameters.size())
    throw Error("argument/invalid", "The number of parameters does not fit the program");
  for (uint32_t i = 0; i < list.Length(); ++i) {
    if (list.Get(i).IsNull()) {
      sources.emplace_back();
      continue;
    }
    const Napi::Object each = list.Get(i).As<Napi::Object>();
    const Napi::Uint8Array bytes = each.Get("bytes").As<Napi::Uint8Array>();
    ParameterSource source;
    source.type = each.Get("dtype").ToString().Utf8Value() == "float64" ? DataType::float64 : DataType::float32;
    const size_t size = source.type == DataType::float64 ? sizeof(double) : sizeof(float);
    const int64_t count = elementCount(program.parameters[i].shape);
    if (bytes.ByteLength() != count * size)
      throw Error("argument/invalid", "Parameter \"" + program.parameters[i].name + "\" has the wrong number of bytes");
    const HeldMemory held = memoryOf(bytes.Data(), bytes.ByteLength());
    source.owner = held.owner;
    source.mapped = held.file != nullptr;
    source.ofFile = held.ofFile;
    if (held.file && std::find(files.begin(), files.end(), held.file) == files.end()) files.push_back(held.file);
    source.bytes = bytes.Data();
    if (!source.owner) {
      auto copy = std::make_shared<std::vector<unsigned char>>(bytes.Data(), bytes.Data() + bytes.ByteLength());
      source.bytes = copy->data();
      source.owner = copy;
    }
    const Napi::Value scale = each.Get("channelScale");
    if (scale.IsTypedArray()) {
      const auto factors = scale.As<Napi::Float64Array>();
      source.channelScale.assign(factors.Data(), factors.Data() + factors.ElementLength());
      if (source.channelScale.empty() || count % source.channelScale.size() != 0)
        throw Error("argument/invalid", "A channelScale does not fit its parameter");
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

Napi::Value parametersToJs(Napi::Env env, const std::shared_ptr<Device>& device,
                           const std::shared_ptr<const Program>& program,
                           const std::shared_ptr<Parameters>& parameters) {
  Napi::Object object = Napi::Object::New(env);
  const auto handle = holdOn(device, object, parameters, kParametersTag);
  handle->report(env, static_cast<int64_t>(parameters->hostBytes()));
  remember(device->parameters, handle);
  method(object, "read", [device, program](const Napi::CallbackInfo& info) -> Napi::Value {
    auto pointer = held<Parameters>(info.This(), kParametersTag, "parameters");
    const uint32_t id = info[0].ToNumber().Uint32Value();
    if (id >= program->parameters.size())
      throw Error("argument/invalid", "parameter " + std::to_string(id) + " does not exist");
    const size_t count = elementCount(program->parameters[id].shape);
    // Written by the device's thread, so that the event loop copies nothing.
    auto array = newArray<Napi::Float32Array>(info.Env(), count);
    auto target = std::make_shared<Napi::Reference<Napi::Float32Array>>(Napi::Persistent(array));
    return submit<int>(
        info.Env(), device,
        [pointer, id, values = array.Data()](Backend&) {
          pointer->read(static_cast<ParameterId>(id), values);
          return 0;
        },
        [target](Napi::Env, int&) -> Napi::Value { return target->Value(); });
  });
  getter(object, "bytes", [handle](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), handle->pointer ? static_cast<double>(handle->pointer->bytes()) : 0);
  });
  return object;
}

}  // namespace resnode
