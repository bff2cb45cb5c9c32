#include "native/addon/program-from-js.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "native/core/error.h"
#include "native/core/verify.h"

namespace resnode {
namespace {

// The path of a value. It becomes text only for a refusal.
struct Place {
  const Place* parent;
  const char* name = nullptr;  // of a field; null: an item of a list
  uint32_t index = 0;

  // For example "layer "conv1" (convolution): relu.negativeSlope" or "the program: tensors[3].shape[0]".
  std::string text() const {
    if (!parent) return name;
    const std::string before = parent->text();
    if (!name) return before + "[" + std::to_string(index) + "]";
    return before + (parent->parent ? "." : ": ") + name;
  }
};

std::string shown(const Napi::Value& value) {
  if (value.IsUndefined()) return "missing";
  if (value.IsString()) return "\"" + value.As<Napi::String>().Utf8Value().substr(0, 60) + "\"";
  if (value.IsNumber() || value.IsNull() || value.IsBoolean()) return value.ToString().Utf8Value();
  if (value.IsArray()) return "a list of " + std::to_string(value.As<Napi::Array>().Length());
  return value.IsFunction() ? "a function" : value.IsObject() ? "an object" : "of another type";
}

[[noreturn]] void refuse(const Place& place, const std::string& expected, const Napi::Value& value) {
  throw Error("program/invalid", place.text() + " must be " + expected + ", it is " + shown(value));
}

// An integer that both T and a double represent exactly.
template <class T>
T readInteger(const Place& place, const Napi::Value& value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const double least = std::max(-kExact, static_cast<double>(std::numeric_limits<T>::min()));
  const double most = std::min(kExact, static_cast<double>(std::numeric_limits<T>::max()));
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= least && number <= most) || number != std::floor(number)) {
    refuse(place, "an integer of " + std::to_string(std::min<size_t>(sizeof(T) * 8, 53)) + " bits", value);
  }
  return static_cast<T>(number);
}

Napi::Object objectOf(const Place& place, const Napi::Value& value) {
  if (!value.IsObject() || value.IsArray() || value.IsFunction()) refuse(place, "an object", value);
  return value.As<Napi::Object>();
}

void read(const Place& place, const Napi::Value& value, bool& result) {
  if (!value.IsBoolean()) refuse(place, "true or false", value);
  result = value.As<Napi::Boolean>().Value();
}
void read(const Place& place, const Napi::Value& value, float& result) {
  if (!value.IsNumber()) refuse(place, "a number", value);
  result = value.As<Napi::Number>().FloatValue();
}
void read(const Place& place, const Napi::Value& value, std::string& result) {
  if (!value.IsString()) refuse(place, "a string", value);
  result = value.As<Napi::String>().Utf8Value();
}
void read(const Place& place, const Napi::Value& value, int64_t& result) {
  result = readInteger<int64_t>(place, value);
}
void read(const Place& place, const Napi::Value& value, int32_t& result) {
  result = readInteger<int32_t>(place, value);
}
void read(const Place& place, const Napi::Value& value, uint32_t& result) {
  result = readInteger<uint32_t>(place, value);
}

void read(const Place& place, const Napi::Value& value, FusedRelu& result);
template <class T>
void read(const Place& place, const Napi::Value& value, std::vector<T>& result);

void read(const Place& place, const Napi::Value& value, Pair& result) {
  std::vector<int64_t> both;
  if (value.IsArray() && value.As<Napi::Array>().Length() == 2) read(place, value, both);
  if (both.size() != 2) refuse(place, "two integers", value);
  result = {both[0], both[1]};
}

// Reads an enumeration by its word.
template <class T>
std::enable_if_t<std::is_enum_v<T>> read(const Place& place, const Napi::Value& value, T& result) {
  constexpr auto names = namesOf(T{});
  const std::string word = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  for (size_t i = 0; i < names.size(); ++i) {
    if (word == names[i]) return void(result = static_cast<T>(i));
  }
  std::string all;
  for (const char* name : names) all += (all.empty() ? "" : ", ") + std::string(name);
  refuse(place, "one of " + all, value);
}

template <class T>
void read(const Place& place, const Napi::Value& value, std::optional<T>& result) {
  if (value.IsNull()) return result.reset();
  read(place, value, result.emplace());
}

// Refuses objects with other fields than the `known` ones that were read: nothing would read the value of a misspelt
// name.
template <class Known>
void refuseUnknown(const Place& place, const Napi::Object& object, uint32_t known, Known isKnown) {
  const Napi::Array names = object.GetPropertyNames();
  if (names.Length() == known) return;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString().Utf8Value();
    if (!isKnown(name)) throw Error("program/invalid", place.text() + ": unknown field \"" + name.substr(0, 60) + "\"");
  }
}

// Reads all fields of a struct of operations.h. `beside`: how many more the object may have; `isBeside`: whether a name
// is one of these.
template <class T, class Beside>
void readFields(const Place& place, const Napi::Object& object, T& result, uint32_t beside, Beside isBeside) {
  uint32_t known = beside;
  T::visitFields(result, [&](Field field, auto& value) {
    ++known;
    read({&place, field.name}, object.Get(field.name), value);
  });
  refuseUnknown(place, object, known, [&](const std::string& name) {
    bool isField = isBeside(name);
    T::visitFields(result, [&](Field field, auto&) { isField = isField || name == field.name; });
    return isField;
  });
}

void read(const Place& place, const Napi::Value& value, FusedRelu& result) {
  const Napi::Object object = objectOf(place, value);
  read({&place, "negativeSlope"}, object.Get("negativeSlope"), result.negativeSlope);
  refuseUnknown(place, object, 1, [](const std::string& name) { return name == "negativeSlope"; });
}
void read(const Place& place, const Napi::Value& value, UpdatedParameter& result) {
  readFields(place, objectOf(place, value), result, 0, [](const std::string&) { return false; });
}
void read(const Place& place, const Napi::Value& value, Tensor& result) {
  const Napi::Object object = objectOf(place, value);
  read({&place, "name"}, object.Get("name"), result.name);
  read({&place, "shape"}, object.Get("shape"), result.shape);
}
void read(const Place& place, const Napi::Value& value, Parameter& result) {
  const Napi::Object object = objectOf(place, value);
  read({&place, "name"}, object.Get("name"), result.name);
  read({&place, "shape"}, object.Get("shape"), result.shape);
  read({&place, "mutable"}, object.Get("mutable"), result.isMutable);
}

// Reads the attributes of the kind with this name.
Attributes readAttributes(const std::string& kind, const Place& place, const Napi::Object& object) {
  std::optional<Attributes> found;
  Attributes::forEachType([&](auto result) {
    if (kind != result.kKind) return;
    const uint32_t beside = object.Has("propagateDown") ? 5 : 4;
    readFields(place, object, result, beside, [](const std::string& name) {
      return name == "layer" || name == "kind" || name == "inputs" || name == "outputs" || name == "propagateDown";
    });
    found = std::move(result);
  });
  if (!found) throw Error("program/invalid", place.text() + ": unknown operation kind \"" + kind.substr(0, 60) + "\"");
  return *found;
}

void read(const Place& place, const Napi::Value& value, Operation& result) {
  const Napi::Object object = objectOf(place, value);
  std::string kind;
  read({&place, "layer"}, object.Get("layer"), result.layer);
  read({&place, "kind"}, object.Get("kind"), kind);
  const std::string name = "layer \"" + result.layer + "\" (" + kind.substr(0, 60) + ")";
  const Place own{nullptr, name.c_str()};
  read({&own, "inputs"}, object.Get("inputs"), result.inputs);
  read({&own, "outputs"}, object.Get("outputs"), result.outputs);
  result.attributes = readAttributes(kind, own, object);
}

template <class T>
void read(const Place& place, const Napi::Value& value, std::vector<T>& result) {
  if (!value.IsArray()) refuse(place, "a list", value);
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    read({&place, nullptr, i}, array.Get(i), result.emplace_back());
  }
}

}  // namespace

std::shared_ptr<const Program> programFromJs(const Napi::Value& source, std::shared_ptr<Communicator> communicator,
                                             std::shared_ptr<HostFunctions> functions) {
  const Place place{nullptr, "the program"};
  auto program = std::make_shared<Program>();
  program->communicator = std::move(communicator);
  program->functions = std::move(functions);
  const Napi::Object object = objectOf({&place, "itself"}, source);
  read({&place, "name"}, object.Get("name"), program->name);
  read({&place, "tensors"}, object.Get("tensors"), program->tensors);
  read({&place, "parameters"}, object.Get("parameters"), program->parameters);
  read({&place, "operations"}, object.Get("operations"), program->operations);
  read({&place, "inputs"}, object.Get("inputs"), program->inputs);
  read({&place, "outputs"}, object.Get("outputs"), program->outputs);
  verify(*program);
  return program;
}

}  // namespace resnode
