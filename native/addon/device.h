// A device and its jobs. Work runs on the device's thread; promises settle on the event loop.
#pragma once

#include <napi.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "native/addon/objects.h"
#include "native/core/guarded-map.h"
#include "native/device/device-thread.h"

namespace resnode {

// A buffer and the device that it belongs to.
struct OwnedBuffer {
  std::shared_ptr<Buffer> buffer;
  const void* device;
};

// An unsettled promise, as its device holds it.
class Pending {
 public:
  virtual ~Pending() = default;
  // Makes running work end soon. Called on JavaScript's thread.
  virtual void cancel() = 0;
  // Releases all its references; the promise will never settle. Called on JavaScript's thread.
  virtual void abandon() = 0;
};

// A device as one JavaScript environment sees it.
struct Device {
  std::string kind;
  std::shared_ptr<Communicator> communicator;  // null: this process is alone
  std::unique_ptr<DeviceThread> thread;
  Napi::ThreadSafeFunction settle;
  // Used on JavaScript's thread only. Entries keep the event loop alive, and they keep JavaScript references, which
  // must be released on their own thread.
  std::set<std::shared_ptr<Pending>> pending;
  bool closing = false;
  std::vector<std::weak_ptr<Handle<Parameters>>> parameters;
  // The mapped files from which parameters may still be read.
  std::vector<std::pair<std::weak_ptr<Parameters>, std::weak_ptr<const GuardedMap>>> files;
  std::vector<std::weak_ptr<Handle<Executable>>> executables;
  std::vector<std::weak_ptr<Handle<OwnedBuffer>>> buffers;
};

// Adds to a list of weak pointers and drops the expired ones.
template <class T>
void remember(std::vector<std::weak_ptr<T>>& list, const std::shared_ptr<T>& value) {
  list.erase(std::remove_if(list.begin(), list.end(), [](const auto& each) { return each.expired(); }), list.end());
  list.push_back(value);
}

// Like hold(), for objects of a backend. They are released on the device's thread after the queued work, because
// another thread could free a GPU's memory only after waiting for that work.
template <class T>
std::shared_ptr<Handle<T>> holdOn(const std::shared_ptr<Device>& device, const Napi::Object& object,
                                  std::shared_ptr<T> value, const napi_type_tag& tag) {
  return hold<T>(object, std::move(value), tag, [device](std::shared_ptr<T> last) {
    device->thread->post([last = std::move(last)](Backend&) mutable { last.reset(); });
  });
}

// A promise and its result. The device's thread fills it, and the event loop settles it.
template <class Result>
struct Settlement final : Pending {
  Settlement(Napi::Env env, std::shared_ptr<Device> owner, std::function<Napi::Value(Napi::Env, Result&)> finishing,
             std::function<void()> cancelling)
      : deferred(Napi::Promise::Deferred::New(env)),
        device(std::move(owner)),
        finish(std::move(finishing)),
        stop(std::move(cancelling)) {}

  Napi::Promise::Deferred deferred;
  std::shared_ptr<Device> device;
  std::function<Napi::Value(Napi::Env, Result&)> finish;
  std::function<void()> stop;              // empty: what it waits for cannot be stopped
  std::function<void(Napi::Env)> settled;  // called on the event loop, whatever the result; may be empty
  Result result{};
  bool failed = false;
  std::string code, message, layer;

  void fail(std::string errorCode, std::string what, std::string where) {
    failed = true;
    code = std::move(errorCode);
    message = std::move(what);
    layer = std::move(where);
  }
  // Calls `work` and stores the exception that it throws.
  template <class Work>
  void attempt(Work work) {
    try {
      work();
    } catch (const Error& error) {
      fail(error.code(), error.what(), error.layer());
    } catch (const std::bad_alloc&) {
      fail("device/out-of-memory", "Not enough memory", "");
    } catch (const std::exception& error) {
      fail("device/failed", error.what(), "");
    }
  }
  void cancel() override {
    if (stop) stop();
  }
  // Resolves or rejects the promise.
  void conclude(Napi::Env loop) {
    if (settled) settled(loop);
    try {
      if (failed) deferred.Reject(toJsError(loop, code, message, layer).Value());
      else deferred.Resolve(withJsErrors(loop, [&] { return finish(loop, result); }));
    } catch (const Napi::Error& error) {
      deferred.Reject(error.Value());
    }
  }
  void abandon() override {
    finish = nullptr;
    stop = nullptr;
    settled = nullptr;
    result = {};
  }
  // Called on the device's thread, which no longer needs `self`. An environment that is being torn down takes no more
  // calls, and abandons its pending promises.
  static void settle(const std::shared_ptr<Settlement>& self) {
    self->device->settle.NonBlockingCall([self](Napi::Env loop, Napi::Function) {
      Napi::HandleScope scope(loop);
      self->device->pending.erase(self);
      if (self->device->pending.empty()) self->device->settle.Unref(loop);
      // Nothing may be thrown here: node-addon-api would then leak this function and all that it holds.
      try {
        self->conclude(loop);
      } catch (const Napi::Error&) {  // a thread that is being terminated takes no more calls
      }
      self->abandon();
    });
  }
  // Called after the job was posted (`taken`) or refused.
  static Napi::Promise promise(Napi::Env env, const std::shared_ptr<Settlement>& self, bool taken) {
    Device& device = *self->device;
    if (!taken) {
      if (self->settled) self->settled(env);
      const std::string message = "The " + device.kind + " device was disposed; open another one";
      self->deferred.Reject(toJsError(env, "device/disposed", message, "").Value());
    } else {
      if (device.pending.empty()) device.settle.Ref(env);
      device.pending.insert(self);
    }
    return self->deferred.Promise();
  }
};

// Runs `work` on the device's thread, then settles a promise with `finish` on the event loop.
template <class Result>
Napi::Promise submit(Napi::Env env, const std::shared_ptr<Device>& device, std::function<Result(Backend&)> work,
                     std::function<Napi::Value(Napi::Env, Result&)> finish) {
  const auto state = std::make_shared<Settlement<Result>>(env, device, std::move(finish), nullptr);
  const bool taken = device->thread->post([mine = state, work = std::move(work)](Backend& backend) mutable {
    mine->attempt([&] { mine->result = std::exchange(work, nullptr)(backend); });
    Settlement<Result>::settle(std::exchange(mine, nullptr));
  });
  return Settlement<Result>::promise(env, state, taken);
}

// The same for a run that `start` begins and `cancel` makes end soon. When it is over, `after` is called on the
// device's thread. `settled` is called on the event loop, whatever the result.
Napi::Promise submitRun(Napi::Env env, const std::shared_ptr<Device>& device,
                        std::function<std::unique_ptr<StartedRun>()> start, std::function<void()> cancel,
                        std::function<void()> after, std::function<void(Napi::Env)> settled,
                        std::function<Napi::Value(Napi::Env)> finish);

}  // namespace resnode
