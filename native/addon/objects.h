// How JavaScript objects hold native ones: methods, getters, and handles. dispose() or, failing that, the garbage
// collector frees a handle. V8 knows how many bytes it holds.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <type_traits>

#include "native/core/error.h"

namespace resnode {

inline Napi::Error toJsError(Napi::Env env, const std::string& code, const std::string& message,
                             const std::string& layer) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  if (!layer.empty()) error.Set("layer", layer);
  return error;
}

// Calls `work`. Any C++ exception becomes a JavaScript error with a code; uncaught, it would end the process.
template <class Work>
auto withJsErrors(Napi::Env env, Work work) {
  try {
    return work();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw toJsError(env, error.code(), error.what(), error.layer());
  } catch (const std::bad_alloc&) {
    throw toJsError(env, "device/out-of-memory", "Not enough memory", "");
  } catch (const std::exception& error) {
    throw toJsError(env, "device/failed", error.what(), "");
  }
}

template <class Function>
void method(const Napi::Object& object, const char* name, const Function& function) {
  object.Set(name, Napi::Function::New(
                       object.Env(),
                       [function](const Napi::CallbackInfo& info) -> Napi::Value {
                         return withJsErrors(info.Env(), [&]() -> Napi::Value { return function(info); });
                       },
                       name));
}

// Makes a typed array by calling JavaScript's constructor, which throws if memory runs out, whereas
// napi_create_arraybuffer would end the process. Throws Error("device/out-of-memory").
template <class Array>
Array newArray(Napi::Env env, size_t length) {
  constexpr bool isBytes = std::is_same_v<Array, Napi::Uint8Array>;
  static_assert(isBytes || std::is_same_v<Array, Napi::Float32Array>);
  const Napi::Function constructor = env.Global().Get(isBytes ? "Uint8Array" : "Float32Array").As<Napi::Function>();
  try {
    return constructor.New({Napi::Number::New(env, static_cast<double>(length))}).template As<Array>();
  } catch (const Napi::Error&) {
    throw Error("device/out-of-memory", "Not enough memory for an array of " + std::to_string(length) + " values");
  }
}

template <class Function>
void getter(const Napi::Object& object, const char* name, const Function& function) {
  object.DefineProperty(Napi::PropertyDescriptor::Accessor(
      object.Env(), object, name, [function](const Napi::CallbackInfo& info) { return function(info); },
      napi_enumerable));
}

template <class T>
struct Handle {
  std::shared_ptr<T> pointer;
  std::function<void(std::shared_ptr<T>)> discard;  // releases the value; empty: it is released at once
  int64_t reported = 0;

  // Tells V8 how many bytes outside its heap this object now holds.
  void report(Napi::Env env, int64_t bytes) {
    if (bytes != reported) Napi::MemoryManagement::AdjustExternalMemory(env, bytes - reported);
    reported = bytes;
  }
  void release(Napi::Env env) {
    if (pointer && discard) discard(std::move(pointer));
    pointer.reset();
    report(env, 0);
  }
};

// Wraps `value` and marks the object with a type tag, so that a foreign object is never taken for one of ours. Adds
// dispose().
template <class T>
std::shared_ptr<Handle<T>> hold(const Napi::Object& object, std::shared_ptr<T> value, const napi_type_tag& tag,
                                std::function<void(std::shared_ptr<T>)> discard = {}) {
  auto handle = std::make_shared<Handle<T>>();
  handle->pointer = std::move(value);
  handle->discard = std::move(discard);
  auto* owner = new std::shared_ptr<Handle<T>>(handle);
  const napi_status status = napi_wrap(
      object.Env(), object, owner,
      [](napi_env env, void* data, void*) {
        auto* wrapped = static_cast<std::shared_ptr<Handle<T>>*>(data);
        (*wrapped)->release(env);
        delete wrapped;
      },
      nullptr, nullptr);
  if (status != napi_ok) {  // a thread that is being terminated takes no more objects
    delete owner;
    if (handle->discard) handle->discard(std::move(handle->pointer));
    throw Napi::Error::New(object.Env());
  }
  napi_type_tag_object(object.Env(), object, &tag);
  method(object, "dispose", [handle](const Napi::CallbackInfo& info) -> Napi::Value {
    handle->release(info.Env());
    return info.Env().Undefined();
  });
  return handle;
}

// The handle of an object that hold() made. Throws Error("argument/invalid") for other objects.
template <class T>
std::shared_ptr<Handle<T>> handleOf(const Napi::Value& value, const napi_type_tag& tag, const char* name) {
  bool matches = false;
  void* data = nullptr;
  if (value.IsObject()) napi_check_object_type_tag(value.Env(), value, &tag, &matches);
  if (!matches || napi_unwrap(value.Env(), value, &data) != napi_ok) {
    throw Error("argument/invalid", std::string("Expected an object of this addon for ") + name);
  }
  return *static_cast<std::shared_ptr<Handle<T>>*>(data);
}

// The value that the handle holds. Throws Error("device/disposed") after dispose().
template <class T>
std::shared_ptr<T> held(const Napi::Value& value, const napi_type_tag& tag, const char* name) {
  auto pointer = handleOf<T>(value, tag, name)->pointer;
  if (!pointer) throw Error("device/disposed", std::string("The ") + name + " was disposed");
  return pointer;
}

}  // namespace resnode
