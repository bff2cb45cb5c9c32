// The Program as native code sees it, plain data; ts/operations/program.ts is the same in TypeScript. What an operation
// is, ts/operations/schema.ts says for both.
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
  std::vector<TensorId> inputs, outputs;  // of Gradient, AllMean and Update also −1: not there
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
  std::shared_ptr<Communicator> communicator;  // the processes of AllMean; null: this one is alone
  std::shared_ptr<HostFunctions> functions;    // what HostFunction calls; null: there are none
};

}  // namespace resnode
