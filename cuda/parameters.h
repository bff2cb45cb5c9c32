// A model's parameters on the GPU. Each is packed once for each layout that a plan needs, and all batch sizes share it.
#pragma once

#include <map>
#include <vector>

#include "cuda/buffer.h"
#include "cuda/packing.h"
#include "native/core/backend-support.h"

namespace resnode::cuda {

struct PackedParameter {
  ParameterId id = -1;
  Packing packing;
  bool operator<(const PackedParameter& other) const {
    return std::tie(id, packing) < std::tie(other.id, other.packing);
  }
};

class CudaParameters final : public Parameters {
 public:
  CudaParameters(std::shared_ptr<Transfer> transfer, std::shared_ptr<const Program> program,
                 std::vector<ParameterSource> sources);

  // Packs and uploads what is missing, in one allocation. Throws Error("device/out-of-memory"), and then changes
  // nothing.
  void require(const std::vector<PackedParameter>& wanted);
  void* get(const PackedParameter& parameter) const { return packed_.at(parameter); }

  void read(ParameterId id, float* destination) const override;
  void write(ParameterId id, ParameterSource source) override;
  size_t bytes() const override { return bytes_; }
  size_t hostBytes() const override { return hostBytes_; }

 private:
  // Bytes held for a source that is not part of a weights file.
  size_t sourceBytes(ParameterId id) const;
  // Whether the GPU holds the only current values of a parameter.
  bool learnsThere(ParameterId id) const;

  std::shared_ptr<Transfer> transfer_;
  std::shared_ptr<const Program> program_;
  std::vector<ParameterSource> sources_;
  std::vector<DeviceMemory> blocks_;
  std::map<PackedParameter, char*> packed_;
  std::atomic<size_t> bytes_{0};
  std::atomic<size_t> hostBytes_{0};  // copies that the addon made; weights files do not count
};

}  // namespace resnode::cuda
