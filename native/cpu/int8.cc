#include "native/cpu/int8.h"

#include <algorithm>
#include <atomic>

#include "native/core/error.h"
#include "native/cpu/parallel.h"

namespace resnode::cpu {

using Type = dnnl::memory::data_type;

bool isInt8(const Layout& layout) { return layout.data_type() == Type::s8 || layout.data_type() == Type::u8; }

Layout withType(const Layout& layout, Type type) {
  Layout result = layout;
  result.data.data_type = static_cast<dnnl_data_type_t>(type);
  return result;
}

Type valueType(const Quantized& tensor) { return tensor.isUnsigned ? Type::u8 : Type::s8; }

float factor(const Quantized& tensor, const Layout& from, const Layout& to) {
  return (isInt8(from) ? tensor.scale : 1) / (isInt8(to) ? tensor.scale : 1);
}

void refuseNotFinite(ThreadPool* pool, const float* from, int64_t count, const std::string& tensor,
                     const std::string& layer) {
  constexpr int64_t PART = 1 << 14;
  std::atomic<bool> isFinite{true};
  parallelFor(pool, (count + PART - 1) / PART, 1, [&](int64_t unit) {
    // 0 · x is 0 only if x is finite. Sums in lanes, which compilers vectorise.
    float sums[16] = {};
    const int64_t begin = unit * PART, end = std::min(count, begin + PART);
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) {
      for (int lane = 0; lane < 16; ++lane) sums[lane] += 0.f * from[i + lane];
    }
    for (; i < end; ++i) sums[0] += 0.f * from[i];
    if (std::any_of(std::begin(sums), std::end(sums), [](float sum) { return sum != 0; })) isFinite = false;
  });
  if (!isFinite) throwNotFinite(tensor, layer);
}

}  // namespace resnode::cpu
