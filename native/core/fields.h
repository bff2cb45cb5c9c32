// What the fields of operations are made of; operations.h lists them, each with its name and its role.
#pragma once

#include <cstdint>
#include <limits>

namespace resnode {

using TensorId = int32_t;
using ParameterId = int32_t;

struct Pair {
  int64_t height = 1;
  int64_t width = 1;
};

// y = max(x, 0) + negativeSlope · min(x, 0), as the last step of another operation.
struct FusedRelu {
  float negativeSlope = 0;
};

enum class Role {
  attribute,
  operation,  // the index of an earlier operation
  parameter,  // ids of parameters
  learned,    // the same, whose diff has a place among the outputs of a gradient
};

// What the gradient of a kind reads again of what the operation read and made; byRule: it depends on attributes.
enum class GradientReads { noGradient, nothing, inputs, outputs, byRule };

struct Field {
  const char* name;
  Role role = Role::attribute;
  int64_t least = std::numeric_limits<int64_t>::min();  // of integers and pairs
};

}  // namespace resnode
