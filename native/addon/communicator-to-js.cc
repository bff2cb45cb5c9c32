#include "native/addon/communicator-to-js.h"

#include <functional>

#include "native/addon/objects.h"
#include "native/device/load-libraries.h"

namespace resnode {
namespace {

constexpr napi_type_tag kCommunicatorTag{0x7c1d3f6b92a84e05, 0xb8e27a4d10c95f36};

// Two communicators of the same processes, one for JavaScript and one for the device's thread, because their calls must
// not mix.
struct Communicators {
  std::shared_ptr<Communicator> own, device;
};

// Waiting for other processes may take long, so it happens on libuv's pool. The caller awaits each call before the
// next.
class Worker final : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, std::function<void()> work, std::function<Napi::Value(Napi::Env)> finish)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        finish_(std::move(finish)) {}
  Napi::Promise start() {
    const Napi::Promise promise = deferred_.Promise();
    Queue();
    return promise;
  }
  void Execute() override {
    try {
      work_();
    } catch (const Error& error) {
      code_ = error.code();
      SetError(error.what());
    }
  }
  void OnOK() override { deferred_.Resolve(finish_(Env())); }
  void OnError(const Napi::Error& error) override {
    deferred_.Reject(toJsError(Env(), code_, error.Message(), "").Value());
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::function<void()> work_;
  std::function<Napi::Value(Napi::Env)> finish_;
  std::string code_ = "communicator/failed";
};

Napi::Value communicatorToJs(Napi::Env env, const std::shared_ptr<Communicators>& both) {
  Napi::Object object = Napi::Object::New(env);
  const auto handle = hold<Communicators>(object, both, kCommunicatorTag);
  object.Set("rank", both->own->rank());
  object.Set("size", both->own->size());
  const auto open = [handle] {
    if (!handle->pointer) throw Error("communicator/failed", "The communicator was disposed");
    return handle->pointer;
  };
  method(object, "sum", [open](const Napi::CallbackInfo& call) -> Napi::Value {
    const auto pointer = open();
    const auto values = call[0].As<Napi::Float32Array>();
    const auto copy = std::make_shared<std::vector<float>>(values.Data(), values.Data() + values.ElementLength());
    return (new Worker(
                call.Env(), [pointer, copy] { pointer->own->sum(copy->data(), copy->size()); },
                [copy](Napi::Env loop) -> Napi::Value {
                  auto result = newArray<Napi::Float32Array>(loop, copy->size());
                  std::copy(copy->begin(), copy->end(), result.Data());
                  return result;
                }))
        ->start();
  });
  method(object, "send", [open](const Napi::CallbackInfo& call) -> Napi::Value {
    const auto pointer = open();
    const int rank = call[0].ToNumber().Int32Value();
    const auto bytes = call[1].As<Napi::Uint8Array>();
    const auto copy = std::make_shared<std::vector<unsigned char>>(bytes.Data(), bytes.Data() + bytes.ElementLength());
    return (new Worker(
                call.Env(), [pointer, rank, copy] { pointer->own->send(rank, *copy); },
                [](Napi::Env loop) { return loop.Undefined(); }))
        ->start();
  });
  method(object, "hasMessage", [open](const Napi::CallbackInfo& call) -> Napi::Value {
    return Napi::Boolean::New(call.Env(), open()->own->hasMessage(call[0].ToNumber().Int32Value()));
  });
  method(object, "receive", [open](const Napi::CallbackInfo& call) -> Napi::Value {
    const auto pointer = open();
    const int rank = call[0].ToNumber().Int32Value();
    const auto bytes = std::make_shared<std::vector<unsigned char>>();
    return (new Worker(
                call.Env(), [pointer, rank, bytes] { *bytes = pointer->own->receive(rank); },
                [bytes](Napi::Env loop) -> Napi::Value {
                  auto result = newArray<Napi::Uint8Array>(loop, bytes->size());
                  std::copy(bytes->begin(), bytes->end(), result.Data());
                  return result;
                }))
        ->start();
  });
  method(object, "finish", [open](const Napi::CallbackInfo& call) -> Napi::Value {
    const auto pointer = open();
    return (new Worker(
                call.Env(), [pointer] { pointer->own->finish(); }, [](Napi::Env loop) { return loop.Undefined(); }))
        ->start();
  });
  return object;
}

}  // namespace

Napi::Value openCommunicator(const Napi::CallbackInfo& info) {
  const std::string kind = info[0].ToString().Utf8Value(), folder = info[1].ToString().Utf8Value();
  const auto both = std::make_shared<Communicators>();
  return (new Worker(
              info.Env(),
              [both, kind, folder] {
                both->own = loadCommunicator(kind, folder);
                both->device = both->own->duplicate();
              },
              [both](Napi::Env loop) { return communicatorToJs(loop, both); }))
      ->start();
}

std::shared_ptr<Communicator> communicatorFromJs(const Napi::Value& value) {
  if (value.IsNull() || value.IsUndefined()) return nullptr;
  return held<Communicators>(value, kCommunicatorTag, "communicator")->device;
}

}  // namespace resnode
