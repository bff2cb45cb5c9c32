// The parameters of a model on the CPU: their sources, the packed copies, and the values of mutable ones.
#pragma once

#include <atomic>
#include <map>
#include <vector>

#include "native/cpu/parameter-memory.h"
#include "native/cpu/step.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

class CpuParameters final : public Parameters {
 public:
  CpuParameters(std::shared_ptr<const Program> program, std::vector<ParameterSource> sources,
                std::shared_ptr<OneDnn> oneDnn, ThreadPool& pool);

  // The values of an immutable parameter in a layout. Each layout is packed once.
  void* packed(const Pack& pack);
  // The values of a mutable parameter, which operations read and write, in the layout of the first program that used
  // it. Throws Error("device/unsupported") if another program needs another layout.
  void* master(const Pack& pack);
  // Frees the memory that packing needed.
  void endPacking();

  void read(ParameterId id, float* destination) const override;
  void write(ParameterId id, ParameterSource source) override;
  size_t bytes() const override { return bytes_; }

 private:
  struct Packed {
    Pack pack;
    char* bytes;
  };
  char* pack(const Pack& pack);
  // Packs a parameter's source: `bytes` has the size of pack.layout.
  void packInto(const Pack& pack, char* bytes);
  // Bytes held for a source that is not part of a weights file.
  size_t sourceBytes(ParameterId id) const;
  // Whether the addon's copy of a source already has the requested form, such as a bias into which BatchNorm was
  // folded. It is then not copied again. The plan counts packed bytes, and so states what is held.
  bool isSource(const Pack& pack) const;
  // Whether executables may use a source directly.
  bool maySourceBeBound(ParameterId id) const;

  std::shared_ptr<const Program> program_;
  std::vector<ParameterSource> sources_;
  std::shared_ptr<OneDnn> oneDnn_;
  ThreadPool& pool_;
  ParameterMemory memory_;
  std::multimap<ParameterId, Packed> packed_;
  std::map<ParameterId, Packed> masters_;
  // Row-major values on their way into a layout, and oneDNN's scratch for that. Kept between parameters: freed blocks
  // of many sizes would otherwise stay in the heap between packed parameters, 50 MB for ResNet-50.
  AlignedBytes staging_, scratch_;
  size_t scratchBytes_ = 0;
  std::atomic<size_t> bytes_{0};
};

}  // namespace resnode::cpu
