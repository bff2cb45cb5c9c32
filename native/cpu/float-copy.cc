#include "native/cpu/float-copy.h"

#include <algorithm>

namespace resnode::cpu {
namespace {

// The offset of each index of a dimension.
std::vector<std::vector<int64_t>> offsetsOf(const dnnl_memory_desc_t& data) {
  const dnnl_blocking_desc_t& blocking = data.format_desc.blocking;
  std::vector<std::vector<int64_t>> offsets(data.ndims);
  for (int dim = 0; dim < data.ndims; ++dim) {
    for (int64_t place = 0; place < data.dims[dim]; ++place) {
      int64_t offset = 0, stride = 1, rest = place;
      for (int i = blocking.inner_nblks - 1; i >= 0; --i) {
        const int64_t size = blocking.inner_blks[i];
        if (blocking.inner_idxs[i] == dim) {
          offset += rest % size * stride;
          rest /= size;
        }
        stride *= size;
      }
      offsets[dim].push_back(offset + rest * blocking.strides[dim]);
    }
  }
  return offsets;
}

}  // namespace

std::optional<FloatCopy> FloatCopy::describe(const Layout& from, const Layout& to) {
  const auto isPossible = [](const Layout& layout) {
    return layout.isBlocked() && layout.data.offset0 == 0 && layout.data_type() == ValueType::f32;
  };
  if (!isPossible(from) || !isPossible(to) || from.dims() != to.dims() || from.dims().empty()) return std::nullopt;
  FloatCopy copy;
  copy.dims_ = from.dims();
  copy.from_ = offsetsOf(from.data);
  copy.to_ = offsetsOf(to.data);
  if (!isDense(to)) copy.padded_ = floatsIn(to);
  return copy;
}

void FloatCopy::run(ThreadPool& pool, const float* from, float* to) const {
  std::fill_n(to, padded_, 0.f);
  const size_t last = dims_.size() - 1;
  int64_t rows = 1;
  for (size_t dim = 0; dim < last; ++dim) rows *= dims_[dim];
  const std::vector<int64_t>&source = from_[last], &target = to_[last];
  pool.run(rows, ThreadPool::grain(dims_[last] * 8), [&](int64_t row) {
    const float* first = from;
    float* result = to;
    for (size_t dim = last; dim-- > 0; row /= dims_[dim]) {
      first += from_[dim][row % dims_[dim]];
      result += to_[dim][row % dims_[dim]];
    }
    for (int64_t i = 0; i < dims_[last]; ++i) result[target[i]] = first[source[i]];
  });
}

}  // namespace resnode::cpu
