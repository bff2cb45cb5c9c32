// Image work runs on libuv's pool, as decoding does, and leaves the device's thread to nets.
#include "native/addon/image-from-js.h"

#include <functional>
#include <memory>
#include <string>

#include "native/addon/objects.h"
#include "native/image/prepare.h"
#include "native/image/score-map.h"

namespace resnode {
namespace {

// Keeps the input array alive, fills a typed array off the event loop, and resolves with it.
template <class Array>
class ImageWorker final : public Napi::AsyncWorker {
 public:
  using Fill = std::function<void(typename std::remove_reference<decltype(*std::declval<Array>().Data())>::type*)>;

  ImageWorker(Napi::Env env, Napi::TypedArray pixels, size_t count, Fill fill)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        pixels_(Napi::Persistent(pixels)),
        fill_(std::move(fill)) {
    Array output = newArray<Array>(env, count);
    data_ = output.Data();
    output_ = Napi::Persistent(output);
  }
  Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override { fill_(data_); }
  void OnOK() override { deferred_.Resolve(output_.Value()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  Napi::Reference<Napi::TypedArray> pixels_;
  Napi::Reference<Array> output_;
  decltype(std::declval<Array>().Data()) data_ = nullptr;
  Fill fill_;
};

template <class Array>
Napi::Value queued(ImageWorker<Array>* worker) {
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

int integer(const Napi::Object& options, const char* name, int minimum, int maximum) {
  const double value = options.Get(name).ToNumber().DoubleValue();
  if (!(value >= minimum && value <= maximum) || value != static_cast<int>(value)) {
    throw Napi::RangeError::New(options.Env(), "Expected an integer from " + std::to_string(minimum) + " to " +
                                                   std::to_string(maximum) + " for " + name);
  }
  return static_cast<int>(value);
}

constexpr int kMaxSide = 1 << 20;
constexpr int64_t kMaxPixels = int64_t{1} << 28;

void checkArea(Napi::Env env, int64_t width, int64_t height) {
  if (width * height > kMaxPixels) throw Napi::RangeError::New(env, "An image of more than 2^28 pixels is refused");
}

image::Pixels pixelsFrom(const Napi::TypedArray& array, const Napi::Object& options) {
  const bool isDeep = array.TypedArrayType() == napi_uint16_array;
  const image::Pixels pixels{isDeep ? nullptr : array.As<Napi::Uint8Array>().Data(),
                             integer(options, "width", 1, kMaxSide), integer(options, "height", 1, kMaxSide),
                             integer(options, "channels", 1, 4),
                             isDeep ? array.As<Napi::Uint16Array>().Data() : nullptr};
  checkArea(array.Env(), pixels.width, pixels.height);
  if (array.ElementLength() != static_cast<size_t>(pixels.width) * pixels.height * pixels.channels) {
    throw Napi::RangeError::New(array.Env(), "The pixels do not fit width × height × channels");
  }
  return pixels;
}

}  // namespace

Napi::Value prepareImage(const Napi::CallbackInfo& info) {
  const auto array = info[0].As<Napi::TypedArray>();
  const auto options = info[1].As<Napi::Object>();
  const image::Pixels pixels = pixelsFrom(array, options);
  image::Preparation preparation;
  preparation.resizedWidth = integer(options, "resizedWidth", 1, kMaxSide);
  preparation.resizedHeight = integer(options, "resizedHeight", 1, kMaxSide);
  checkArea(info.Env(), preparation.resizedWidth, preparation.resizedHeight);
  preparation.width = integer(options, "cropWidth", 1, preparation.resizedWidth);
  preparation.height = integer(options, "cropHeight", 1, preparation.resizedHeight);
  preparation.left = integer(options, "left", 0, preparation.resizedWidth - preparation.width);
  preparation.top = integer(options, "top", 0, preparation.resizedHeight - preparation.height);
  preparation.channels = integer(options, "outputChannels", 1, 3);
  preparation.bgr = options.Get("bgr").ToBoolean();
  preparation.isFloat = options.Get("float").ToBoolean();
  if (pixels.deep != nullptr && !preparation.isFloat)
    throw Napi::RangeError::New(info.Env(), "16-bit images can only be prepared in floats");
  const auto scale = options.Get("scale").As<Napi::Float32Array>();
  preparation.scale.assign(scale.Data(), scale.Data() + scale.ElementLength());
  const auto mean = options.Get("mean").As<Napi::Float32Array>();
  preparation.mean.assign(mean.Data(), mean.Data() + mean.ElementLength());
  const size_t channels = preparation.channels, count = channels * preparation.width * preparation.height;
  if (channels == 2 || preparation.scale.size() != channels ||
      (preparation.mean.size() != channels && preparation.mean.size() != count)) {
    throw Napi::RangeError::New(info.Env(),
                                "The scale or the mean does not fit the channels, or the mean does not fit the crop");
  }
  if (options.Get("asBytes").ToBoolean()) {
    if (preparation.isFloat) throw Napi::RangeError::New(info.Env(), "A resize in floats cannot give bytes");
    return queued(new ImageWorker<Napi::Uint8Array>(info.Env(), array, count, [pixels, preparation](uint8_t* output) {
      image::prepareBytes(pixels, preparation, output);
    }));
  }
  const auto prepare = preparation.isFloat ? image::prepareFloat : image::prepare;
  return queued(new ImageWorker<Napi::Float32Array>(info.Env(), array, count,
                                                    [=](float* output) { prepare(pixels, preparation, output); }));
}

Napi::Value resizeImage(const Napi::CallbackInfo& info) {
  const auto array = info[0].As<Napi::Uint8Array>();
  const auto options = info[1].As<Napi::Object>();
  const image::Pixels pixels = pixelsFrom(array, options);
  const int width = integer(options, "resizedWidth", 1, kMaxSide),
            height = integer(options, "resizedHeight", 1, kMaxSide);
  checkArea(info.Env(), width, height);
  const size_t count = static_cast<size_t>(width) * height * pixels.channels;
  return queued(new ImageWorker<Napi::Uint8Array>(
      info.Env(), array, count, [=](uint8_t* output) { image::resizeLinear(pixels, width, height, output); }));
}

Napi::Value mapScores(const Napi::CallbackInfo& info) {
  const auto array = info[0].As<Napi::Float32Array>();
  const auto options = info[1].As<Napi::Object>();
  const auto place = [&options](const char* name) { return options.Get(name).ToNumber().DoubleValue(); };
  const image::ScoreMap map{array.Data(),
                            integer(options, "channels", 1, 256),
                            integer(options, "height", 1, kMaxSide),
                            integer(options, "width", 1, kMaxSide),
                            place("scaleX"),
                            place("offsetX"),
                            place("lastX"),
                            place("scaleY"),
                            place("offsetY"),
                            place("lastY")};
  const int width = integer(options, "targetWidth", 1, kMaxSide),
            height = integer(options, "targetHeight", 1, kMaxSide);
  checkArea(info.Env(), width, height);
  if (array.ElementLength() != static_cast<size_t>(map.channels) * map.height * map.width)
    throw Napi::RangeError::New(info.Env(), "The scores do not fit channels × height × width");
  const size_t count = static_cast<size_t>(width) * height;
  const std::string result = options.Get("result").ToString();
  if (result == "values")
    return queued(new ImageWorker<Napi::Float32Array>(
        info.Env(), array, count, [=](float* output) { image::firstChannel(map, width, height, output); }));
  const auto fill = result == "indices" ? image::nearestIndices : image::largestChannels;
  return queued(new ImageWorker<Napi::Uint8Array>(info.Env(), array, count,
                                                  [=](uint8_t* output) { fill(map, width, height, output); }));
}

}  // namespace resnode
