// The Program as native code sees it: plain data. ts/operations/program.ts is its TypeScript twin, and
// ts/operations/schema.ts defines the operations for both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "native/core/operations.h"

namespace resnode {

using Shape = std::vector<int64_t>;

inline int64_t elementCount(const Shape& shape) {
  int64_t count = 1;
  for (int64_t dimension : shape) count *= dimension;
  return count;
}

struct Tensor {
  std::string name;
  Shape shape;  // as users see it, row-major N×C×H×W, float32
};

struct Parameter {
  std::string name;
  Shape shape;
  bool isMutable = false;
};

struct Operation {
  std::string layer;
  std::vector<TensorId> inputs, outputs;  // −1, in Gradient, AllMean and Update only: absent
  Attributes attributes;
};

class Communicator;
class HostFunctions;

struct Program {
  std::string name;
  std::vector<Tensor> tensors;
  std::vector<Parameter> parameters;
  std::vector<Operation> operations;
  std::vector<TensorId> inputs, outputs;
  std::shared_ptr<Communicator> communicator;  // the processes of AllMean; null: there is only this one
  std::shared_ptr<HostFunctions> functions;    // functions for HostFunction; null: there are none
};

}  // namespace resnode
