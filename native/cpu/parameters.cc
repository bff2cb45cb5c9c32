#include "parameters.h"

#include <algorithm>

namespace resnode::cpu {

CpuParameters::CpuParameters(std::shared_ptr<const Program> program, std::vector<ParameterSource> sources)
    : program_(std::move(program)), sources_(std::move(sources)) {
  // Copies that the addon made count too; mapped files do not.
  for (size_t i = 0; i < sources_.size(); ++i) bytes_ += copiedBytes(static_cast<ParameterId>(i));
}

float* CpuParameters::plain(ParameterId id) {
  auto& values = plain_[id];
  if (!values) {
    const size_t bytes = elementCount(program_->parameters[id].shape) * sizeof(float);
    values = allocate(bytes, "parameter \"" + program_->parameters[id].name + "\"");
    materialise(sources_[id], program_->parameters[id].shape, reinterpret_cast<float*>(values.get()));
    bytes_ += bytes;
    releasePages(sources_[id], program_->parameters[id].shape);
    // What changes is never read from its source again.
    if (program_->parameters[id].isMutable) {
      bytes_ -= copiedBytes(id);
      sources_[id] = {};
    }
  }
  return reinterpret_cast<float*>(values.get());
}

dnnl::memory CpuParameters::packed(ParameterId id, const dnnl::memory::desc& from, const dnnl::memory::desc& to, dnnl::stream& stream) {
  const auto [first, last] = packed_.equal_range(id);
  for (auto it = first; it != last; ++it) {
    if (it->second.layout == to) return dnnl::memory(to, stream.get_engine(), it->second.bytes.get());
  }
  if (!staging_) staging_ = allocate(largest() * sizeof(float), "packing the parameters");
  materialise(sources_[id], program_->parameters[id].shape, reinterpret_cast<float*>(staging_.get()));
  releasePages(sources_[id], program_->parameters[id].shape);
  AlignedBytes bytes = allocate(to.get_size(), "parameter \"" + program_->parameters[id].name + "\"");
  dnnl::memory source(from, stream.get_engine(), staging_.get());
  dnnl::memory target(to, stream.get_engine(), bytes.get());
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::reorder::primitive_desc reorder(source, target, attributes);
  const size_t needed = reorder.scratchpad_desc().get_size();
  if (needed > scratchBytes_) {
    scratch_.reset();
    scratch_ = allocate(needed, "packing the parameters");
    scratchBytes_ = needed;
  }
  dnnl::memory scratch(reorder.scratchpad_desc(), stream.get_engine(), scratch_.get());
  dnnl::reorder(reorder).execute(stream, {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}, {DNNL_ARG_SCRATCHPAD, scratch}});
  stream.wait();
  bytes_ += to.get_size();
  packed_.emplace(id, Packed{to, std::move(bytes)});
  return target;
}

void CpuParameters::endPacking() {
  staging_.reset();
  scratch_.reset();
  scratchBytes_ = 0;
}

void CpuParameters::read(ParameterId id, float* destination) const {
  const auto plain = plain_.find(id);
  const Shape& shape = program_->parameters[id].shape;
  if (plain == plain_.end()) materialise(sources_[id], shape, destination);
  else std::memcpy(destination, plain->second.get(), elementCount(shape) * sizeof(float));
}

size_t CpuParameters::copiedBytes(ParameterId id) const {
  const ParameterSource& source = sources_[id];
  return source.bytes && !source.mapped ? elementCount(program_->parameters[id].shape) * sizeof(float) : 0;
}

size_t CpuParameters::largest() const {
  int64_t largest = 0;
  for (const auto& parameter : program_->parameters) largest = std::max(largest, elementCount(parameter.shape));
  return static_cast<size_t>(largest);
}

}  // namespace resnode::cpu
