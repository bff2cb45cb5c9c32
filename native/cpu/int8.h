// Tensors as 8-bit integers (native/core/int8.h) in oneDNN's words.
#pragma once

#include <string>

#include "native/core/int8.h"
#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

dnnl::memory::data_type valueType(const Quantized& tensor);

// What turns a tensor's values as they lie in one layout into those of another.
float factor(const Quantized& tensor, const Layout& from, const Layout& to);

// Where `count` values at `from` are to become int8 and one of them is not finite, the run is refused.
void refuseNotFinite(ThreadPool* pool, const float* from, int64_t count, const std::string& tensor,
                     const std::string& layer);

bool isInt8(const Layout& layout);
// The same order of elements with another type.
Layout withType(const Layout& layout, dnnl::memory::data_type type);
inline Layout inFloat32(const Layout& layout) {
  return layout.data_type() == ValueType::f32 ? layout : withType(layout, ValueType::f32);
}

}  // namespace resnode::cpu
