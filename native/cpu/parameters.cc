#include "parameters.h"

namespace resnode::cpu {

CpuParameters::CpuParameters(std::shared_ptr<const Program> program, std::vector<ParameterSource> sources)
    : program_(std::move(program)), sources_(std::move(sources)) {
  // Copies that the addon made count too; mapped files do not.
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].mapped) bytes_ += elementCount(program_->parameters[i].shape) * sizeof(float);
  }
}

float* CpuParameters::plain(ParameterId id) {
  auto& values = plain_[id];
  if (!values) {
    const size_t bytes = elementCount(program_->parameters[id].shape) * sizeof(float);
    values = allocate(bytes, "parameter \"" + program_->parameters[id].name + "\"");
    materialise(sources_[id], program_->parameters[id].shape, reinterpret_cast<float*>(values.get()));
    bytes_ += bytes;
    releasePages(sources_[id], program_->parameters[id].shape);
  }
  return reinterpret_cast<float*>(values.get());
}

dnnl::memory CpuParameters::packed(ParameterId id, const dnnl::memory::desc& from, const dnnl::memory::desc& to, dnnl::stream& stream) {
  const auto [first, last] = packed_.equal_range(id);
  for (auto it = first; it != last; ++it) {
    if (it->second.layout == to) return dnnl::memory(to, stream.get_engine(), it->second.bytes.get());
  }
  const std::string name = "parameter \"" + program_->parameters[id].name + "\"";
  const AlignedBytes values = allocate(from.get_size(), name);
  materialise(sources_[id], program_->parameters[id].shape, reinterpret_cast<float*>(values.get()));
  releasePages(sources_[id], program_->parameters[id].shape);
  AlignedBytes bytes = allocate(to.get_size(), name);
  dnnl::memory source(from, stream.get_engine(), values.get());
  dnnl::memory target(to, stream.get_engine(), bytes.get());
  dnnl::reorder(source, target).execute(stream, source, target);
  stream.wait();
  bytes_ += to.get_size();
  packed_.emplace(id, Packed{to, std::move(bytes)});
  return target;
}

void CpuParameters::read(ParameterId id, float* destination) const {
  const auto plain = plain_.find(id);
  const Shape& shape = program_->parameters[id].shape;
  if (plain == plain_.end()) materialise(sources_[id], shape, destination);
  else std::memcpy(destination, plain->second.get(), elementCount(shape) * sizeof(float));
}

}  // namespace resnode::cpu
