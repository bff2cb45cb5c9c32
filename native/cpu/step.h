// The plan's calls for each operation, on memory that has a symbolic place but no address yet.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "native/cpu/layout.h"

namespace resnode::cpu {

// The memory of a call's argument.
struct Place {
  enum class In {
    nowhere,  // a null pointer
    buffer,   // PlanDescription::buffers
    master,   // a mutable parameter
    packed,   // CpuPlan::packs: an immutable parameter in a layout
  };
  In in = In::nowhere;
  int index = -1;
};

using Work = std::function<void()>;

struct Call {
  std::vector<Place> places;
  // Gets the address of each place, and returns the work of every run, which is complete when it returns.
  std::function<Work(const std::vector<void*>& addresses)> bind;
};

struct Step {
  std::vector<Call> calls;
};

// A parameter's values in `layout`; `plain` describes the same values as row-major.
struct Pack {
  ParameterId id = -1;
  Layout plain, layout;
  std::vector<float> factors = {};  // per output channel, for int8: values are multiplied by them
  // Packs row-major values if more than a reordering is needed; `transformName` identifies it.
  std::function<void(const float* plain, float* packed)> transform = nullptr;
  std::string transformName = {};

  bool isSameAs(const Pack& other) const {
    return id == other.id && layout == other.layout && factors == other.factors && transformName == other.transformName;
  }
};

}  // namespace resnode::cpu
