// Tensors as 8-bit integers (native/core/int8.h) in oneDNN's terms.
#pragma once

#include <string>

#include "native/core/int8.h"
#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

dnnl::memory::data_type valueType(const Quantized& tensor);

// The factor that converts a tensor's values from one layout to another.
float factor(const Quantized& tensor, const Layout& from, const Layout& to);

// Refuses the run if one of `count` values at `from`, which are to become int8, is not finite.
void refuseNotFinite(ThreadPool* pool, const float* from, int64_t count, const std::string& tensor,
                     const std::string& layer);

bool isInt8(const Layout& layout);
// The same layout with another type.
Layout withType(const Layout& layout, dnnl::memory::data_type type);
inline Layout inFloat32(const Layout& layout) {
  return layout.data_type() == ValueType::f32 ? layout : withType(layout, ValueType::f32);
}

}  // namespace resnode::cpu
