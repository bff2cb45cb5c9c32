#include "cuda/parameters.h"

#include <set>

namespace resnode::cuda {

CudaParameters::CudaParameters(std::shared_ptr<Transfer> transfer, std::shared_ptr<const Program> program,
                               std::vector<ParameterSource> sources)
    : transfer_(std::move(transfer)), program_(std::move(program)), sources_(std::move(sources)) {
  for (size_t i = 0; i < sources_.size(); ++i) hostBytes_ += sourceBytes(static_cast<ParameterId>(i));
}

size_t CudaParameters::sourceBytes(ParameterId id) const {
  const ParameterSource& source = sources_[id];
  if (!source.bytes || source.ofFile) return 0;
  return elementCount(program_->parameters[id].shape) *
         (source.type == DataType::float64 ? sizeof(double) : sizeof(float));
}

bool CudaParameters::learnsThere(ParameterId id) const {
  return program_->parameters[id].isMutable && packed_.count({id, Packing{}}) > 0;
}

void CudaParameters::require(const std::vector<PackedParameter>& wanted) {
  std::set<PackedParameter> missing;
  size_t bytes = 0;
  for (const PackedParameter& each : wanted) {
    if (packed_.count(each) == 0 && missing.insert(each).second)
      bytes += aligned(packedBytes(each.packing, program_->parameters[each.id].shape));
  }
  if (missing.empty()) return;
  DeviceMemory block = allocateOnDevice(transfer_->device(), bytes, "the parameters of \"" + program_->name + "\"");
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
  for (const PackedParameter& each : missing) {
    if (!learnsThere(each.id)) continue;
    hostBytes_ -= sourceBytes(each.id);
    sources_[each.id] = {};  // not read again
  }
}

void CudaParameters::write(ParameterId id, ParameterSource source) {
  const Shape& shape = program_->parameters[id].shape;
  std::vector<float> values(elementCount(shape));
  materialise(source, shape, values.data());
  releasePages(source, shape);
  transfer_->device()->use();
  std::vector<char> packed;
  for (auto each = packed_.lower_bound({id, Packing{}}); each != packed_.end() && each->first.id == id; ++each) {
    packed.resize(packedBytes(each->first.packing, shape));
    pack(each->first.packing, shape, values.data(), packed.data());
    transfer_->upload(each->second, packed.data(), packed.size());
  }
  if (learnsThere(id)) return;
  hostBytes_ -= sourceBytes(id);
  sources_[id] = std::move(source);
  hostBytes_ += sourceBytes(id);
}

void CudaParameters::read(ParameterId id, float* destination) const {
  const Shape& shape = program_->parameters[id].shape;
  if (!learnsThere(id)) return materialise(sources_[id], shape, destination);
  transfer_->device()->use();
  transfer_->download(destination, packed_.at({id, Packing{}}), elementCount(shape) * sizeof(float));
}

}  // namespace resnode::cuda
