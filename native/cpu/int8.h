// Tensors as 8-bit integers: value = scale × integer, symmetric, so that 0 is 0 and padding stays what it is.
// Unsigned where nothing can be negative (after a ReLU), which has twice the levels.
#pragma once

#include <string>
#include <vector>

#include "native/core/backend.h"
#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

struct Quantized {
  float scale = 0;  // 0: its range is not known
  dnnl::memory::data_type type = dnnl::memory::data_type::s8;
  bool isMade =
      false;  // where it is made it becomes int8: a convolution reads it so, and no user of the program sees it

  // What turns values as they lie in one layout into those of another.
  float factor(const Layout& from, const Layout& to) const;
};

// One a tensor of the program. `byTiles`: it is computed by our own tiles, not by oneDNN.
std::vector<Quantized> quantizedTensors(const Program& program, const Quantization& quantization, bool byTiles);

// Whether a convolution's weights are constant, and finite with their bias, and its ReLU, if there is one, is plain.
bool hasKnownWeights(const Program& program, const Convolution& convolution, const Quantization& quantization);

// Whether an operation is a convolution that can run in int8: so are its weights, and the range of what it reads is known;
// our tiles read channels of a group by four.
bool isInt8Convolution(const Program& program, const Operation& operation, const Quantization& quantization,
                       bool byTiles);

// Eight bits hold neither not-a-number nor the infinities: where `count` values at `from` are to become int8 and one of
// them is not finite, the run is refused.
void refuseNotFinite(ThreadPool* pool, const float* from, int64_t count, const std::string& tensor,
                     const std::string& layer);
[[noreturn]] void throwNotFinite(const std::string& tensor, const std::string& layer);

bool isInt8(const Layout& layout);
// The same order of elements with another type.
Layout withType(const Layout& layout, dnnl::memory::data_type type);
inline Layout inFloat32(const Layout& layout) {
  return isInt8(layout) ? withType(layout, dnnl::memory::data_type::f32) : layout;
}

}  // namespace resnode::cpu
