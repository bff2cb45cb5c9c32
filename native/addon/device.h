// A device and its jobs: work runs on the device's thread, promises settle on the event loop.
#pragma once

#include <napi.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "device/device-thread.h"
#include "objects.h"

namespace resnode {

// A buffer and the device that it may be used with.
struct OwnedBuffer {
  std::shared_ptr<Buffer> buffer;
  const void* device;
};

// A device as one JavaScript environment sees it.
struct Device {
  std::string kind;
  std::shared_ptr<Communicator> communicator;  // null: this process is alone
  std::unique_ptr<DeviceThread> thread;
  Napi::ThreadSafeFunction settle;
  int pending = 0;  // JavaScript thread only: the event loop stays alive while jobs wait
  bool closing = false;
  std::vector<std::weak_ptr<Handle<Parameters>>> parameters;
  std::vector<std::weak_ptr<Handle<Executable>>> executables;
  std::vector<std::weak_ptr<Handle<OwnedBuffer>>> buffers;
};

// Adds to a list of weak pointers, from which those that died are dropped.
template <class T>
void remember(std::vector<std::weak_ptr<T>>& list, const std::shared_ptr<T>& value) {
  list.erase(std::remove_if(list.begin(), list.end(), [](const auto& each) { return each.expired(); }), list.end());
  list.push_back(value);
}

// hold() for what a backend made: it is let go on the device's thread, behind the work that is queued, because a GPU's
// memory cannot be freed anywhere else without waiting for it.
template <class T>
std::shared_ptr<Handle<T>> holdOn(const std::shared_ptr<Device>& device, const Napi::Object& object, std::shared_ptr<T> value,
                                  const napi_type_tag& tag) {
  return hold<T>(object, std::move(value), tag, [device](std::shared_ptr<T> last) {
    device->thread->post([last = std::move(last)](Backend&) mutable { last.reset(); });
  });
}

// A promise with what will settle it: filled on the device's thread, settled on the event loop.
template <class Result>
struct Settlement {
  Napi::Promise::Deferred deferred;
  std::shared_ptr<Device> device;
  std::function<Napi::Value(Napi::Env, Result&)> finish;
  Result result{};
  bool failed = false;
  std::string code, message, layer;

  void fail(std::string errorCode, std::string what, std::string where) {
    failed = true;
    code = std::move(errorCode);
    message = std::move(what);
    layer = std::move(where);
  }
  // Calls `work` and keeps what it throws.
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
  // JavaScript references may go on their own thread only, so the caller's pointer is the last one on this thread. What
  // an environment that is going away no longer calls is left to it.
  static void settle(std::shared_ptr<Settlement> last) {
    auto* owner = new std::shared_ptr<Settlement>(std::move(last));
    (*owner)->device->settle.NonBlockingCall([owner](Napi::Env loop, Napi::Function) {
      const std::shared_ptr<Settlement> self = std::move(*owner);
      delete owner;
      Napi::HandleScope scope(loop);
      if (--self->device->pending == 0) self->device->settle.Unref(loop);
      try {
        if (self->failed) self->deferred.Reject(toJsError(loop, self->code, self->message, self->layer).Value());
        else self->deferred.Resolve(self->finish(loop, self->result));
      } catch (const Napi::Error& error) {
        self->deferred.Reject(error.Value());
      }
    });
  }
  // After the job was posted, or refused.
  Napi::Promise promise(Napi::Env env, bool taken) {
    if (!taken) deferred.Reject(toJsError(env, "device/closed", "The " + device->kind + " device is closed", "").Value());
    else if (device->pending++ == 0) device->settle.Ref(env);
    return deferred.Promise();
  }
};

template <class Result>
auto settlement(Napi::Env env, const std::shared_ptr<Device>& device, std::function<Napi::Value(Napi::Env, Result&)> finish) {
  return std::shared_ptr<Settlement<Result>>(new Settlement<Result>{Napi::Promise::Deferred::New(env), device, std::move(finish)});
}

// Runs `work` on the device thread and settles a promise with `finish` on the event loop.
template <class Result>
Napi::Promise submit(Napi::Env env, const std::shared_ptr<Device>& device, std::function<Result(Backend&)> work,
                     std::function<Napi::Value(Napi::Env, Result&)> finish) {
  const auto state = settlement<Result>(env, device, std::move(finish));
  const bool taken = device->thread->post([mine = state, work = std::move(work)](Backend& backend) mutable {
    mine->attempt([&] { mine->result = std::exchange(work, nullptr)(backend); });
    Settlement<Result>::settle(std::move(mine));
  });
  return state->promise(env, taken);
}

// The same for a run that `start` begins; `after` is called on the device thread when it is over, however it ended.
Napi::Promise submitRun(Napi::Env env, const std::shared_ptr<Device>& device, std::function<std::unique_ptr<StartedRun>()> start,
                        std::function<void()> after, std::function<Napi::Value(Napi::Env)> finish);

}  // namespace resnode
