#include "native/core/verify.h"

#include <algorithm>
#include <type_traits>

#include "native/core/verify/arithmetic.h"
#include "native/core/verify/detection.h"
#include "native/core/verify/losses.h"
#include "native/core/verify/moving.h"
#include "native/core/verify/normalizing.h"
#include "native/core/verify/training.h"
#include "native/core/verify/windows.h"

namespace resnode {
namespace rules {

// Elementwise functions have no further rules.
template <class T>
void check(const T&, const Subject& of) {
  of.sameShape();
}

}  // namespace rules

namespace {

constexpr size_t kMostAxes = 32;  // blob.hpp (kMaxBlobAxes)

using rules::kMostValues, rules::product, rules::refuse, rules::shown, rules::Subject;

// Checks the bounds and ids of fields, for every kind.
class Fields {
 public:
  Fields(const Subject& of, size_t index) : of_(of), index_(index) {}

  void operator()(Field field, int64_t value) const { bounded(field, value); }
  void operator()(Field field, const std::optional<int64_t>& value) const {
    if (value) bounded(field, *value);
  }
  void operator()(Field field, const std::vector<int64_t>& values) const {
    for (int64_t value : values) bounded(field, value);
  }
  // Caffe keeps sizes in an int (ts/layers/window.ts).
  void operator()(Field field, const Pair& value) const {
    bounded(field, value.height);
    bounded(field, value.width);
    if (std::max(value.height, value.width) > INT32_MAX) of_.fail(std::string(field.name) + " must be below 2^31");
  }
  void operator()(Field field, int32_t value) const {
    const size_t end = field.role == Role::operation ? index_ : of_.program.parameters.size();
    if (value < 0 || static_cast<size_t>(value) >= end)
      of_.fail(std::string(field.name) + " is " + std::to_string(value) + ", must be from 0 to below " +
               std::to_string(end));
  }
  void operator()(Field field, const std::optional<int32_t>& value) const {
    if (value) (*this)(field, *value);
  }
  void operator()(Field field, const std::vector<int32_t>& values) const {
    for (int32_t value : values) (*this)(field, value);
  }
  void operator()(Field, const std::vector<UpdatedParameter>& rows) const {
    for (const UpdatedParameter& row : rows) UpdatedParameter::visitFields(row, *this);
  }
  template <class T>
  void operator()(Field, const T&) const {}

 private:
  void bounded(Field field, int64_t value) const {
    if (value < field.least)
      of_.fail(std::string(field.name) + " is " + std::to_string(value) + ", must be at least " +
               std::to_string(field.least));
  }
  const Subject& of_;
  size_t index_;
};

void checkShape(const char* what, const std::string& name, const Shape& shape) {
  const bool isPositive = std::all_of(shape.begin(), shape.end(), [](int64_t size) { return size > 0; });
  if (shape.size() > kMostAxes || !isPositive || product(shape) > kMostValues)
    refuse(std::string(what) + " \"" + name + "\": its shape " + shown(shape) + " is none");
}

// Checks that every tensor is written once, before it is read.
class Made {
 public:
  explicit Made(const Program& program) : made_(program.tensors.size()) {
    for (TensorId id : program.inputs) make(id, "inputs", false);
  }
  void read(TensorId id, const std::string& where, bool mayBeAbsent) const {
    if (mayBeAbsent && id == -1) return;
    inRange(id, where);
    if (!made_[id]) refuse(where + ": reads tensor " + std::to_string(id) + ", which no earlier operation makes");
  }
  void make(TensorId id, const std::string& where, bool mayBeAbsent) {
    if (mayBeAbsent && id == -1) return;
    inRange(id, where);
    if (made_[id])
      refuse(where + ": makes tensor " + std::to_string(id) + ", which an earlier operation already makes");
    made_[id] = true;
  }

 private:
  void inRange(TensorId id, const std::string& where) const {
    if (id < 0 || static_cast<size_t>(id) >= made_.size())
      refuse(where + ": tensor " + std::to_string(id) + " does not exist, there are " + std::to_string(made_.size()));
  }
  std::vector<bool> made_;
};

}  // namespace

void verify(const Program& program) {
  for (const Tensor& tensor : program.tensors) checkShape("tensor", tensor.name, tensor.shape);
  for (const Parameter& parameter : program.parameters) checkShape("parameter", parameter.name, parameter.shape);
  Made made(program);
  for (size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    operation.attributes.visit([&](const auto& attributes) {
      using T = std::decay_t<decltype(attributes)>;
      constexpr bool hasGaps = std::is_same_v<T, Gradient> || std::is_same_v<T, AllMean> || std::is_same_v<T, Update>;
      const std::string where = "layer \"" + operation.layer + "\" (" + T::kKind + ")";
      for (TensorId id : operation.inputs) made.read(id, where, hasGaps);
      for (TensorId id : operation.outputs) made.make(id, where, hasGaps);
      const Subject subject(program, operation, T::kKind);
      T::visitFields(attributes, Fields(subject, i));
      rules::check(attributes, subject);
    });
  }
  for (TensorId id : program.outputs) made.read(id, "outputs", false);
}

}  // namespace resnode
