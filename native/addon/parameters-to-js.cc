#include "native/addon/parameters-to-js.h"

#include <algorithm>

#include "native/addon/host-memory.h"

namespace resnode {

void checkIntact(const MappedFiles& files) {
  for (const auto& file : files) {
    if (!file->intact()) {
      throw Error("weights/changed",
                  file->path() +
                      ": the file was changed or truncated while its values were read; load it again. "
                      "Write new versions to another file and rename it");
    }
  }
}

namespace {

// Reads a ParameterData of ts/operations/program.ts; null stands for zeros.
ParameterSource sourceFromJs(const Napi::Value& value, const Parameter& parameter, MappedFiles& files) {
  ParameterSource source;
  if (value.IsNull()) return source;
  const Napi::Object each = value.As<Napi::Object>();
  const Napi::Uint8Array bytes = each.Get("bytes").As<Napi::Uint8Array>();
  source.type = each.Get("dtype").ToString().Utf8Value() == "float64" ? DataType::float64 : DataType::float32;
  const size_t size = source.type == DataType::float64 ? sizeof(double) : sizeof(float);
  const int64_t count = elementCount(parameter.shape);
  if (bytes.ByteLength() != count * size)
    throw Error("argument/invalid", "Parameter \"" + parameter.name + "\" has the wrong number of bytes");
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
  return source;
}

}  // namespace

std::vector<ParameterSource> sourcesFromJs(const Napi::Array& list, const Program& program, MappedFiles& files) {
  if (list.Length() != program.parameters.size())
    throw Error("argument/invalid", "The number of parameters does not fit the program");
  std::vector<ParameterSource> sources;
  for (uint32_t i = 0; i < list.Length(); ++i)
    sources.push_back(sourceFromJs(list.Get(i), program.parameters[i], files));
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
    // The device's thread fills the array, so that the event loop copies nothing.
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
  method(object, "write", [device, program](const Napi::CallbackInfo& info) -> Napi::Value {
    auto pointer = held<Parameters>(info.This(), kParametersTag, "parameters");
    const auto list = info[0].As<Napi::Array>();
    MappedFiles files;
    std::vector<std::pair<ParameterId, ParameterSource>> sources;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const Napi::Object each = list.Get(i).As<Napi::Object>();
      const uint32_t id = each.Get("index").ToNumber().Uint32Value();
      if (id >= program->parameters.size())
        throw Error("argument/invalid", "parameter " + std::to_string(id) + " does not exist");
      sources.emplace_back(static_cast<ParameterId>(id),
                           sourceFromJs(each.Get("data"), program->parameters[id], files));
    }
    return submit<int>(
        info.Env(), device,
        [pointer, files = std::move(files), sources = std::move(sources)](Backend&) mutable {
          for (auto& [id, source] : sources) pointer->write(id, std::move(source));
          checkIntact(files);
          return 0;
        },
        [](Napi::Env env, int&) -> Napi::Value { return env.Undefined(); });
  });
  getter(object, "bytes", [handle](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), handle->pointer ? static_cast<double>(handle->pointer->bytes()) : 0);
  });
  return object;
}

}  // namespace resnode
