// The types of the operations' fields. operations.h lists the fields, each with its name and role.
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

// The fused function y = max(x, 0) + negativeSlope · min(x, 0), which another operation applies to its result.
struct FusedRelu {
  float negativeSlope = 0;
};

enum class Role {
  attribute,
  operation,  // the index of an earlier operation
  parameter,  // ids of parameters
  learned,    // ids of parameters whose diffs are outputs of a gradient
};

// Which inputs and outputs of the forward operation its gradient reads; byRule: this depends on attributes.
enum class GradientReads { noGradient, nothing, inputs, outputs, byRule };

struct Field {
  const char* name;
  Role role = Role::attribute;
  int64_t least = std::numeric_limits<int64_t>::min();  // for integers and pairs
};

}  // namespace resnode
