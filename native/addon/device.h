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

// A device as one JavaScript environment sees it.
struct Device {
  std::string kind;
  std::unique_ptr<DeviceThread> thread;
  Napi::ThreadSafeFunction settle;
  int pending = 0;  // JavaScript thread only: the event loop stays alive while jobs wait
  bool closing = false;
  std::vector<std::weak_ptr<Parameters>> parameters;
  std::vector<std::weak_ptr<Executable>> executables;
};

// Adds to a list of weak pointers, from which those that died are dropped.
template <class T>
void remember(std::vector<std::weak_ptr<T>>& list, const std::shared_ptr<T>& value) {
  list.erase(std::remove_if(list.begin(), list.end(), [](const auto& each) { return each.expired(); }), list.end());
  list.push_back(value);
}

// Runs `work` on the device thread and settles a promise with `finish` on the event loop.
template <class Result>
Napi::Promise submit(Napi::Env env, const std::shared_ptr<Device>& device, std::function<Result(Backend&)> work,
                     std::function<Napi::Value(Napi::Env, Result&)> finish) {
  struct State {
    Napi::Promise::Deferred deferred;
    std::shared_ptr<Device> device;
    std::function<Napi::Value(Napi::Env, Result&)> finish;
    Result result{};
    bool failed = false;
    std::string code, message, layer;
  };
  auto state = std::shared_ptr<State>(new State{Napi::Promise::Deferred::New(env), device, std::move(finish)});
  const Napi::Promise promise = state->deferred.Promise();
  const bool taken = device->thread->post([state, work = std::move(work)](Backend& backend) {
    const auto fail = [&](std::string code, std::string message, std::string layer) {
      state->failed = true;
      state->code = std::move(code);
      state->message = std::move(message);
      state->layer = std::move(layer);
    };
    try {
      state->result = work(backend);
    } catch (const Error& error) {
      fail(error.code(), error.what(), error.layer());
    } catch (const std::bad_alloc&) {
      fail("device/out-of-memory", "Not enough memory", "");
    } catch (const std::exception& error) {
      fail("device/failed", error.what(), "");
    }
    state->device->settle.NonBlockingCall([state](Napi::Env loop, Napi::Function) {
      Napi::HandleScope scope(loop);
      if (--state->device->pending == 0) state->device->settle.Unref(loop);
      try {
        if (state->failed) state->deferred.Reject(toJsError(loop, state->code, state->message, state->layer).Value());
        else state->deferred.Resolve(state->finish(loop, state->result));
      } catch (const Napi::Error& error) {
        state->deferred.Reject(error.Value());
      }
    });
  });
  if (!taken) {
    state->deferred.Reject(toJsError(env, "device/closed", "The " + device->kind + " device is closed", "").Value());
    return promise;
  }
  if (device->pending++ == 0) device->settle.Ref(env);
  return promise;
}

}  // namespace resnode
