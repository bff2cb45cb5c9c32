// What a plan holds for each operation: calls on memory that is known by place, not yet by address.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "native/cpu/layout.h"

namespace resnode::cpu {

// Where an argument of a call will lie.
struct Place {
  enum class In {
    nowhere,  // nothing, a null pointer
    buffer,   // PlanDescription::buffers
    master,   // a mutable parameter
    packed,   // CpuPlan::packs: an immutable parameter in one layout
  };
  In in = In::nowhere;
  int index = -1;
};

using Work = std::function<void()>;

struct Call {
  std::vector<Place> places;
  // Given the address of each place: what every run does, which ends when it returns.
  std::function<Work(const std::vector<void*>& addresses)> bind;
};

struct Step {
  std::vector<Call> calls;
};

// A parameter's values in `layout`; `plain` describes the same as row-major.
struct Pack {
  ParameterId id = -1;
  Layout plain, layout;
  std::vector<float> factors = {};  // of each output channel, for int8: what is packed is value × factor
  // Makes what is packed out of row-major values, where that is no mere reordering; `transformName` tells one from others.
  std::function<void(const float* plain, float* packed)> transform = nullptr;
  std::string transformName = {};

  bool isSameAs(const Pack& other) const {
    return id == other.id && layout == other.layout && factors == other.factors && transformName == other.transformName;
  }
};

}  // namespace resnode::cpu
