#include "parameters.h"

#include <set>

namespace resnode::cuda {

CudaParameters::CudaParameters(std::shared_ptr<Transfer> transfer, std::shared_ptr<const Program> program, std::vector<ParameterSource> sources)
    : transfer_(std::move(transfer)), program_(std::move(program)), sources_(std::move(sources)) {
  for (size_t i = 0; i < sources_.size(); ++i) {
    const size_t size = sources_[i].type == DataType::float64 ? sizeof(double) : sizeof(float);
    if (!sources_[i].mapped) hostBytes_ += elementCount(program_->parameters[i].shape) * size;
  }
}

void CudaParameters::require(const std::vector<PackedParameter>& wanted) {
  std::set<PackedParameter> missing;
  size_t bytes = 0;
  for (const PackedParameter& each : wanted) {
    if (packed_.count(each) == 0 && missing.insert(each).second) bytes += aligned(packedBytes(each.packing, program_->parameters[each.id].shape));
  }
  if (missing.empty()) return;
  DeviceMemory block(transfer_->device(), bytes, "the parameters of \"" + program_->name + "\"");
  std::map<PackedParameter, char*> placed;
  std::vector<float> values;
  std::vector<char> packed;
  char* at = block.get();
  for (const PackedParameter& each : missing) {
    const Shape& shape = program_->parameters[each.id].shape;
    values.resize(elementCount(shape));
    read(each.id, values.data());
    releasePages(sources_[each.id], shape);
    packed.resize(packedBytes(each.packing, shape));
    pack(each.packing, shape, values.data(), packed.data());
    transfer_->upload(at, packed.data(), packed.size());
    placed.emplace(each, at);
    at += aligned(packed.size());
  }
  packed_.merge(placed);
  blocks_.push_back(std::move(block));
  bytes_ += bytes;
}

// A mutable parameter's truth is on the GPU, once it is there.
void CudaParameters::read(ParameterId id, float* destination) const {
  const Parameter& parameter = program_->parameters[id];
  const auto found = packed_.find({id, Packing{}});
  if (parameter.isMutable && found != packed_.end()) {
    transfer_->device()->use();
    transfer_->download(destination, found->second, elementCount(parameter.shape) * sizeof(float));
  } else {
    materialise(sources_[id], parameter.shape, destination);
  }
}

}  // namespace resnode::cuda
