// The parameters of a model on the CPU: sources as given, what was packed from them, and the mutable ones' values.
#pragma once

#include <atomic>
#include <map>
#include <vector>

#include "native/core/backend-support.h"
#include "native/cpu/step.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

class CpuParameters final : public Parameters {
 public:
  CpuParameters(std::shared_ptr<const Program> program, std::vector<ParameterSource> sources,
                std::shared_ptr<OneDnn> oneDnn, ThreadPool& pool);

  // An immutable parameter's values in a layout; reordered once for each.
  void* packed(const Pack& pack);
  // A mutable parameter's values, which operations read and write, in the layout of the first program that used it.
  // Throws Error("device/unsupported") where another program wants another layout.
  void* master(const Pack& pack);
  // Frees what packing needed.
  void endPacking();

  void read(ParameterId id, float* destination) const override;
  void write(ParameterId id, ParameterSource source) override;
  size_t bytes() const override { return bytes_; }

 private:
  struct Packed {
    Pack pack;
    AlignedBytes bytes;
  };
  AlignedBytes pack(const Pack& pack);
  // Makes of a parameter's source what is packed: `bytes` of pack.layout's size.
  void packInto(const Pack& pack, char* bytes);
  // Held for a source that is of no weights file.
  size_t sourceBytes(ParameterId id) const;
  // Whether a copy that the addon made is already what is wanted, as a bias that BatchNorm was folded into: it is not
  // copied again, so that a plan, which counts what is packed, tells what is held.
  bool isSource(const Pack& pack) const;
  // Whether executables may be bound to a source itself.
  bool maySourceBeBound(ParameterId id) const;
  size_t plainBytes(ParameterId id) const { return elementCount(program_->parameters[id].shape) * sizeof(float); }

  std::shared_ptr<const Program> program_;
  std::vector<ParameterSource> sources_;
  std::shared_ptr<OneDnn> oneDnn_;
  ThreadPool& pool_;
  std::multimap<ParameterId, Packed> packed_;
  std::map<ParameterId, Packed> masters_;
  // Plain values on their way into a layout, and what oneDNN needs on that way. Kept from one parameter to the next:
  // freed blocks of many sizes would stay in the heap between the packed parameters, 50 MB for ResNet-50.
  AlignedBytes staging_, scratch_;
  size_t scratchBytes_ = 0;
  std::atomic<size_t> bytes_{0};
};

}  // namespace resnode::cpu
