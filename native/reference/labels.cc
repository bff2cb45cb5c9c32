#include <cmath>

#include "native/core/error.h"
#include "native/reference/operations.h"

namespace resnode::reference {

// Caffe's release build reads outside its arrays for an invalid label; here it is reported.
int64_t checkedLabel(float label, int64_t channels, const std::string& layer) {
  if (!(label >= 0 && label < static_cast<float>(channels)) || label != std::floor(label)) {
    throw Error("label/invalid",
                "layer \"" + layer + "\": label or index " + std::to_string(label) + " is not an integer from 0 to " +
                    std::to_string(channels - 1),
                layer);
  }
  return static_cast<int64_t>(label);
}

bool isIgnored(float label, const std::optional<int64_t>& ignored) {
  return ignored && label == static_cast<float>(*ignored);
}

}  // namespace resnode::reference
