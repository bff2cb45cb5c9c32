#include "native/addon/buffer-to-js.h"

namespace resnode {
namespace {

size_t sizeArgument(const Napi::Value& value) { return static_cast<size_t>(value.ToNumber().DoubleValue()); }

void checkRange(const Buffer& buffer, size_t offset, size_t bytes) {
  if (offset > buffer.bytes() || bytes > buffer.bytes() - offset)
    throw Error("argument/invalid", "A range reaches past the end of the buffer");
}

Napi::Promise submitVoid(Napi::Env env, const std::shared_ptr<Device>& device, std::function<void()> work) {
  return submit<int>(
      env, device,
      [work = std::move(work)](Backend&) {
        work();
        return 0;
      },
      [](Napi::Env loop, int&) -> Napi::Value { return loop.Undefined(); });
}

Napi::Value upload(const Napi::CallbackInfo& info, const std::shared_ptr<Device>& device,
                   const std::shared_ptr<Buffer>& buffer) {
  const Napi::Uint8Array source = info[0].As<Napi::Uint8Array>();
  const size_t offset = sizeArgument(info[1]);
  checkRange(*buffer, offset, source.ByteLength());
  // Copied on the calling thread, so that the caller may reuse, transfer or free its array at once.
  auto bytes = std::make_shared<std::vector<uint8_t>>(source.Data(), source.Data() + source.ByteLength());
  return submitVoid(info.Env(), device,
                    [buffer, bytes, offset] { buffer->upload(bytes->data(), offset, bytes->size()); });
}

Napi::Value download(const Napi::CallbackInfo& info, const std::shared_ptr<Device>& device,
                     const std::shared_ptr<Buffer>& buffer) {
  const size_t offset = sizeArgument(info[0]), bytes = sizeArgument(info[1]);
  checkRange(*buffer, offset, bytes);
  auto array = newArray<Napi::Uint8Array>(info.Env(), bytes);
  auto target = std::make_shared<Napi::Reference<Napi::Uint8Array>>(Napi::Persistent(array));
  return submit<int>(
      info.Env(), device,
      [buffer, data = array.Data(), offset, bytes](Backend&) {
        buffer->download(data, offset, bytes);
        return 0;
      },
      [target](Napi::Env, int&) -> Napi::Value { return target->Value(); });
}

}  // namespace

std::shared_ptr<Buffer> bufferOf(const Napi::Value& value, const std::shared_ptr<Device>& device,
                                 const std::string& what) {
  const auto owned = held<OwnedBuffer>(value, kBufferTag, "buffer");
  if (owned->device != device.get())
    throw Error("argument/invalid", "Expected a buffer of this device for " + what +
                                        ", found one of another device: give the values that its download() returns, "
                                        "or a buffer that this device makes of them");
  return owned->buffer;
}

Napi::Value bufferToJs(Napi::Env env, const std::shared_ptr<Device>& device, const std::shared_ptr<Buffer>& buffer) {
  Napi::Object object = Napi::Object::New(env);
  const auto handle =
      holdOn(device, object, std::make_shared<OwnedBuffer>(OwnedBuffer{buffer, device.get()}), kBufferTag);
  handle->report(env, static_cast<int64_t>(buffer->hostBytes()));
  remember(device->buffers, handle);
  object.Set("bytes", static_cast<double>(buffer->bytes()));
  const auto mine = [](const Napi::CallbackInfo& info) {
    return held<OwnedBuffer>(info.This(), kBufferTag, "buffer")->buffer;
  };
  method(object, "upload", [device, mine](const Napi::CallbackInfo& info) { return upload(info, device, mine(info)); });
  method(object, "download",
         [device, mine](const Napi::CallbackInfo& info) { return download(info, device, mine(info)); });
  method(object, "copy", [device, mine](const Napi::CallbackInfo& info) -> Napi::Value {
    const auto target = mine(info);
    const auto source = bufferOf(info[0], device, "source");
    const size_t sourceOffset = sizeArgument(info[1]), offset = sizeArgument(info[2]), bytes = sizeArgument(info[3]);
    checkRange(*source, sourceOffset, bytes);
    checkRange(*target, offset, bytes);
    return submitVoid(info.Env(), device, [=, from = source] { target->copy(*from, sourceOffset, offset, bytes); });
  });
  method(object, "fill", [device, mine](const Napi::CallbackInfo& info) -> Napi::Value {
    const auto target = mine(info);
    const auto value = static_cast<uint8_t>(info[0].ToNumber().Uint32Value());
    const size_t offset = sizeArgument(info[1]), bytes = sizeArgument(info[2]);
    checkRange(*target, offset, bytes);
    return submitVoid(info.Env(), device, [=] { target->fill(value, offset, bytes); });
  });
  return object;
}

}  // namespace resnode
