// How native things hang on JavaScript objects: methods, getters, and handles that are freed by dispose() or, failing
// that, by the garbage collector, and whose bytes V8 knows of.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <string>

#include "core/error.h"

namespace resnode {

inline Napi::Error toJsError(Napi::Env env, const std::string& code, const std::string& message, const std::string& layer) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  if (!layer.empty()) error.Set("layer", layer);
  return error;
}

// A method whose Errors arrive as JavaScript errors with a code.
template <class Function>
void method(const Napi::Object& object, const char* name, Function function) {
  object.Set(name, Napi::Function::New(object.Env(), [function](const Napi::CallbackInfo& info) -> Napi::Value {
    try {
      return function(info);
    } catch (const Error& error) {
      throw toJsError(info.Env(), error.code(), error.what(), error.layer());
    }
  }, name));
}

template <class Function>
void getter(const Napi::Object& object, const char* name, Function function) {
  object.DefineProperty(Napi::PropertyDescriptor::Accessor(object.Env(), object, name,
      [function](const Napi::CallbackInfo& info) { return function(info); }, napi_enumerable));
}

template <class T>
struct Handle {
  std::shared_ptr<T> pointer;
  std::function<void(std::shared_ptr<T>)> discard;  // lets go of it; empty: here and now
  int64_t reported = 0;

  // Tells V8 how many bytes outside its heap now hang on this object.
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

// Wraps `value` and marks the object with a type tag, so that a foreign object can never be taken for one of ours.
// Adds dispose().
template <class T>
std::shared_ptr<Handle<T>> hold(const Napi::Object& object, std::shared_ptr<T> value, const napi_type_tag& tag,
                                std::function<void(std::shared_ptr<T>)> discard = {}) {
  auto handle = std::make_shared<Handle<T>>();
  handle->pointer = std::move(value);
  handle->discard = std::move(discard);
  napi_wrap(object.Env(), object, new std::shared_ptr<Handle<T>>(handle),
            [](napi_env env, void* data, void*) {
              auto* wrapped = static_cast<std::shared_ptr<Handle<T>>*>(data);
              (*wrapped)->release(env);
              delete wrapped;
            },
            nullptr, nullptr);
  napi_type_tag_object(object.Env(), object, &tag);
  method(object, "dispose", [handle](const Napi::CallbackInfo& info) -> Napi::Value {
    handle->release(info.Env());
    return info.Env().Undefined();
  });
  return handle;
}

// The handle of an object made by hold(). Throws Error("argument/invalid") for others.
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

// What it holds. Throws Error("device/disposed") after dispose().
template <class T>
std::shared_ptr<T> held(const Napi::Value& value, const napi_type_tag& tag, const char* name) {
  auto pointer = handleOf<T>(value, tag, name)->pointer;
  if (!pointer) throw Error("device/disposed", std::string("The ") + name + " was disposed");
  return pointer;
}

}  // namespace resnode
