#include "native/addon/host-functions-from-js.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "native/addon/device-to-js.h"

namespace resnode {
namespace {

// A call for which a device's thread waits. JavaScript may answer it late, twice, or never.
class Waiting {
 public:
  explicit Waiting(const HostCall& call) : call_(&call) {}

  // Null once the call is over, because its memory may then belong to another call.
  const HostCall* call() const { return call_; }
  std::mutex& mutex() { return mutex_; }

  // The caller holds the mutex.
  void finish(const std::string& code, const std::string& message) {
    if (!call_) return;
    call_ = nullptr;
    code_ = code;
    message_ = message;
    changed_.notify_all();
  }
  void cancel() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!call_) return;
    isCancelled_ = true;
    finish("", "");
  }
  // Called on the device's thread.
  void await(const std::string& layer) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return call_ == nullptr; });
    if (isCancelled_) throw Aborted();
    if (!code_.empty()) throw Error(code_, message_, layer);
  }

 private:
  const HostCall* call_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool isCancelled_ = false;
  std::string code_, message_;
};

// A copy of the values; null if there are none.
Napi::Value copyOf(Napi::Env env, const HostValues& values) {
  if (!values.data) return env.Null();
  auto array = newArray<Napi::Float32Array>(env, values.count);
  std::copy_n(values.data, values.count, array.Data());
  return array;
}

// JavaScript's answer: an error's text, or an array for each requested output.
void answer(Waiting& waiting, const Napi::Value& error, const Napi::Value& arrays) {
  const std::lock_guard<std::mutex> lock(waiting.mutex());
  const HostCall* call = waiting.call();
  if (!call) return;
  if (error.IsString()) return waiting.finish("layer/failed", error.As<Napi::String>().Utf8Value());
  for (uint32_t i = 0; i < call->writes.size(); ++i) {
    const HostValues& target = call->writes[i];
    if (!target.data) continue;
    const Napi::Value source = arrays.IsArray() ? arrays.As<Napi::Array>().Get(i) : arrays;
    const bool fits = source.IsTypedArray() && source.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array &&
                      source.As<Napi::TypedArray>().ElementLength() == target.count;
    if (!fits)
      return waiting.finish("layer/failed", "expected a Float32Array of " + std::to_string(target.count) + " values");
    std::copy_n(source.As<Napi::Float32Array>().Data(), target.count, target.data);
  }
  waiting.finish("", "");
}

class FunctionsOfJs final : public HostFunctions {
 public:
  FunctionsOfJs(Napi::Env env, const Napi::Function& function)
      : function_(Napi::ThreadSafeFunction::New(env, function, "resnode layers", 0, 1)) {
    function_.Unref(env);
  }
  ~FunctionsOfJs() override {
    if (!isGone_) function_.Release();
  }

  void run(const HostCall& call) override {
    const auto waiting = std::make_shared<Waiting>(call);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (isGone_)
        throw Error("device/closed", "The thread to which this layer's function belongs has ended", call.layer);
      if (run_ && *run_) throw Aborted();
      waiting_ = waiting;
    }
    function_.NonBlockingCall(
        [waiting](Napi::Env env, const Napi::Function& function) { ask(env, function, waiting); });
    waiting->await(call.layer);
  }

  void attend(const std::atomic<bool>* cancelled) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    run_ = cancelled;
  }

  void cancel(const std::atomic<bool>* cancelled) override {
    std::shared_ptr<Waiting> last;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (run_ == cancelled) last = waiting_;
    }
    if (last) last->cancel();
  }

  void abandon() {
    std::shared_ptr<Waiting> last;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!isGone_) function_.Release();  // it is released with its environment
      isGone_ = true;
      last = std::move(waiting_);
    }
    if (!last) return;
    const std::lock_guard<std::mutex> lock(last->mutex());
    last->finish("device/closed", "The thread to which this layer's function belongs has ended");
  }

 private:
  // Calls function(index, isBackward, reads, sizes of the requested outputs, answer) on JavaScript's thread.
  static void ask(Napi::Env env, const Napi::Function& function, const std::shared_ptr<Waiting>& waiting) {
    const auto fail = [&](const std::string& what) {
      const std::lock_guard<std::mutex> lock(waiting->mutex());
      waiting->finish("layer/failed", what);
    };
    const HostCall* call = waiting->call();  // from here on only this thread can end the call
    if (!call) return;
    try {
      const Napi::HandleScope scope(env);
      Napi::Array reads = Napi::Array::New(env), asked = Napi::Array::New(env);
      for (uint32_t i = 0; i < call->reads.size(); ++i) reads.Set(i, copyOf(env, call->reads[i]));
      for (uint32_t i = 0; i < call->writes.size(); ++i)
        asked.Set(i, static_cast<double>(call->writes[i].data ? call->writes[i].count : 0));
      const auto done =
          Napi::Function::New(env, [waiting](const Napi::CallbackInfo& info) { answer(*waiting, info[0], info[1]); });
      function.Call({Napi::Number::New(env, static_cast<double>(call->function)),
                     Napi::Boolean::New(env, call->isBackward), reads, asked, done});
    } catch (const std::exception& error) {
      fail(error.what());
    }
  }

  Napi::ThreadSafeFunction function_;
  std::mutex mutex_;
  bool isGone_ = false;
  const std::atomic<bool>* run_ = nullptr;
  std::shared_ptr<Waiting> waiting_;  // one is enough: a device has one thread, and a plan one device
};

}  // namespace

std::shared_ptr<HostFunctions> hostFunctionsFromJs(Napi::Env env, const Napi::Value& function) {
  if (!function.IsFunction()) return nullptr;
  auto functions = std::make_shared<FunctionsOfJs>(env, function.As<Napi::Function>());
  auto& list = env.GetInstanceData<Environment>()->functions;
  list.erase(std::remove_if(list.begin(), list.end(), [](const auto& each) { return each.expired(); }), list.end());
  list.push_back(functions);
  return functions;
}

void abandonHostCalls(Environment& environment) {
  for (const auto& each : environment.functions) {
    if (const auto functions = each.lock()) static_cast<FunctionsOfJs&>(*functions).abandon();
  }
}

}  // namespace resnode
