// One operation, as the rules for its kind see it. ts/operations/schema.ts describes the rules. Ids are in range and
// shapes positive before a rule is called.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "native/core/error.h"
#include "native/core/program.h"

namespace resnode::rules {

constexpr int64_t kMostValues = int64_t{1} << 48;  // per tensor: bytes and sums of bytes stay far below 2^63

inline std::string shown(const Shape& shape) {
  std::string text;
  for (int64_t size : shape) text += (text.empty() ? "" : "×") + std::to_string(size);
  return text.empty() ? "one value" : text;
}

// The product, or kMostValues + 1 if it is larger.
inline int64_t product(const std::vector<int64_t>& factors) {
  int64_t result = 1;
  for (int64_t factor : factors) {
    if (factor > 0 && result > kMostValues / factor) return kMostValues + 1;
    result *= factor;
  }
  return result;
}

[[noreturn]] inline void refuse(const std::string& what, const std::string& layer = {}) {
  throw Error("program/invalid", what, layer);
}

// Gives a rule the operation's tensors by position, and refusals that name the operation.
class Subject {
 public:
  Subject(const Program& program, const Operation& operation, const char* kind)
      : program(program), operation(operation), kind_(kind) {}

  const Program& program;
  const Operation& operation;

  size_t inputs() const { return operation.inputs.size(); }
  size_t outputs() const { return operation.outputs.size(); }
  const Shape& input(size_t i) const { return program.tensors[operation.inputs[i]].shape; }
  const Shape& output(size_t i) const { return program.tensors[operation.outputs[i]].shape; }

  [[noreturn]] void fail(const std::string& what) const {
    refuse("layer \"" + operation.layer + "\" (" + kind_ + "): " + what, operation.layer);
  }
  void expect(bool holds, const char* what) const {
    if (!holds) fail(what);
  }
  void places(size_t leastInputs, size_t mostInputs, size_t leastOutputs, size_t mostOutputs) const {
    const auto count = [&](const char* what, size_t found, size_t least, size_t most) {
      if (found < least || found > most)
        fail("has " + std::to_string(found) + " " + what + ", must have " + std::to_string(least) +
             (most == least ? "" : " or more"));
    };
    count("inputs", inputs(), leastInputs, mostInputs);
    count("outputs", outputs(), leastOutputs, mostOutputs);
  }
  void shape(const char* what, size_t i, const Shape& found, const Shape& expected) const {
    if (found != expected)
      fail(std::string(what) + "[" + std::to_string(i) + "] is " + shown(found) + ", must be " + shown(expected));
  }
  void count(const char* what, const Shape& found, int64_t expected) const {
    if (elementCount(found) != expected)
      fail(std::string(what) + " has " + std::to_string(elementCount(found)) + " values, must have " +
           std::to_string(expected));
  }
  void parameter(const char* field, const std::optional<ParameterId>& id, int64_t expected) const {
    if (id) count(field, program.parameters[*id].shape, expected);
  }
  // At most one activation is the last step of an operation, which has this many outputs.
  template <class T>
  void activation(const T& of, int64_t outputs) const {
    expect(of.relu.has_value() + of.clip.has_value() + of.slopes.has_value() <= 1,
           "at most one of relu, clip and slopes may be given");
    expect(!of.clip || *of.clip > 0, "clip must be above 0");
    if (of.slopes && elementCount(program.parameters[*of.slopes].shape) != 1) parameter("slopes", of.slopes, outputs);
  }
  void isMutable(const char* field, ParameterId id) const {
    if (!program.parameters[id].isMutable) fail(std::string(field) + " is written, so its parameter must be mutable");
  }
  void sameShape() const {
    places(1, 1, 1, 1);
    shape("outputs", 0, output(0), input(0));
  }

 private:
  const char* kind_;
};

template <class T>
void checkAround(const T& around, const Subject& of) {
  of.count("inputs[0]", of.input(0), product({around.outer, around.channels, around.inner}));
}

template <class T>
void checkRows(const T& rows, const Subject& of) {
  of.places(1, 1, 1, 1);
  of.count("inputs[0]", of.input(0), product({rows.outer, rows.inner}));
}

}  // namespace resnode::rules
