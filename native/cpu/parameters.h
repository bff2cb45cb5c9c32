// The parameters of a model on the CPU: sources as given, and what was packed from them, one copy a layout.
#pragma once

#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <vector>

#include "core/plain.h"

namespace resnode::cpu {

class CpuParameters final : public Parameters {
 public:
  CpuParameters(std::shared_ptr<const Program> program, std::vector<ParameterSource> sources);

  // The plain values of a small or mutable parameter; stays valid with this object.
  float* plain(ParameterId id);
  // The values in another layout; `from` describes the plain ones. Reordered once for each layout.
  dnnl::memory packed(ParameterId id, const dnnl::memory::desc& from, const dnnl::memory::desc& to, dnnl::stream& stream);
  // Frees what packing needed.
  void endPacking();

  void read(ParameterId id, float* destination) const override;
  size_t bytes() const override { return bytes_; }

 private:
  struct Packed {
    dnnl::memory::desc layout;
    AlignedBytes bytes;
  };
  // Held for a source that is no mapped file.
  size_t copiedBytes(ParameterId id) const;
  // Elements of the largest parameter.
  size_t largest() const;

  std::shared_ptr<const Program> program_;
  std::vector<ParameterSource> sources_;
  std::map<ParameterId, AlignedBytes> plain_;
  std::multimap<ParameterId, Packed> packed_;
  // Plain values on their way into a layout, and what oneDNN needs on that way. Kept from one parameter to the next:
  // freed blocks of many sizes would stay in the heap between the packed parameters, 50 MB for ResNet-50.
  AlignedBytes staging_, scratch_;
  size_t scratchBytes_ = 0;
  std::atomic<size_t> bytes_{0};
};

}  // namespace resnode::cpu
