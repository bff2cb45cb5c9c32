#include "native/cpu/parameters.h"

#include <algorithm>

#include "native/cpu/float-copy.h"

namespace resnode::cpu {
namespace {

// The size of row-major float32 values.
size_t plainBytes(const Parameter& parameter) { return elementCount(parameter.shape) * sizeof(float); }

size_t plainBytes(const Program& program) {
  size_t bytes = 0;
  for (const Parameter& parameter : program.parameters) bytes += plainBytes(parameter);
  return bytes;
}

}  // namespace

CpuParameters::CpuParameters(std::shared_ptr<const Program> program, std::vector<ParameterSource> sources,
                             std::shared_ptr<OneDnn> oneDnn, ThreadPool& pool)
    : program_(std::move(program)),
      sources_(std::move(sources)),
      oneDnn_(std::move(oneDnn)),
      pool_(pool),
      memory_(plainBytes(*program_)) {
  // Copies that the addon made count, too; parts of a weights file do not.
  for (size_t i = 0; i < sources_.size(); ++i) bytes_ += sourceBytes(static_cast<ParameterId>(i));
}

size_t CpuParameters::sourceBytes(ParameterId id) const {
  if (!sources_[id].bytes || sources_[id].ofFile) return 0;
  return elementCount(program_->parameters[id].shape) *
         (sources_[id].type == DataType::float64 ? sizeof(double) : sizeof(float));
}

bool CpuParameters::maySourceBeBound(ParameterId id) const {
  const ParameterSource& source = sources_[id];
  return !source.ofFile && source.type == DataType::float32 && source.channelScale.empty();
}

bool CpuParameters::isSource(const Pack& pack) const {
  return !pack.transform && maySourceBeBound(pack.id) &&
         pack.layout == plainLayout(program_->parameters[pack.id].shape);
}

char* CpuParameters::pack(const Pack& pack) {
  char* bytes = memory_.allocate(pack.layout.get_size(), "parameter \"" + program_->parameters[pack.id].name + "\"");
  packInto(pack, bytes);
  bytes_ += pack.layout.get_size();
  return bytes;
}

void CpuParameters::packInto(const Pack& pack, char* bytes) {
  const Parameter& parameter = program_->parameters[pack.id];
  const auto values = [](char* memory) { return reinterpret_cast<float*>(memory); };
  if (!pack.transform && pack.layout == plainLayout(parameter.shape)) {
    materialise(sources_[pack.id], parameter.shape, values(bytes));
    releasePages(sources_[pack.id], parameter.shape);
    return;
  }
  if (!staging_) {
    size_t largest = 0;
    for (const Parameter& each : program_->parameters) largest = std::max(largest, plainBytes(each));
    staging_ = allocate(largest, "packing the parameters");
  }
  materialise(sources_[pack.id], parameter.shape, values(staging_.get()));
  releasePages(sources_[pack.id], parameter.shape);
  if (pack.transform) {
    pack.transform(values(staging_.get()), values(bytes));
    return;
  }
  const auto copy = FloatCopy::describe(pack.plain, pack.layout);
  if (copy && pack.factors.empty()) return copy->run(pool_, values(staging_.get()), values(bytes));
  const dnnl::engine& engine = oneDnn_->engine();
  dnnl::memory source(pack.plain, engine, staging_.get()), target(pack.layout, engine, bytes);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  // Output channels are the first dimension, or the first two if there are groups.
  if (!pack.factors.empty())
    attributes.set_output_scales(pack.plain.dims().size() > parameter.shape.size() ? 3 : 1, pack.factors);
  const dnnl::reorder::primitive_desc reorder(source, target, attributes);
  const size_t needed = reorder.scratchpad_desc().get_size();
  if (needed > scratchBytes_) {
    scratch_.reset();
    scratch_ = allocate(needed, "packing the parameters");
    scratchBytes_ = needed;
  }
  dnnl::memory scratch(reorder.scratchpad_desc(), engine, scratch_.get());
  dnnl::reorder(reorder).execute(oneDnn_->stream(),
                                 {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}, {DNNL_ARG_SCRATCHPAD, scratch}});
  oneDnn_->stream().wait();
}

void* CpuParameters::packed(const Pack& wanted) {
  if (isSource(wanted)) return const_cast<unsigned char*>(sources_[wanted.id].bytes);
  const auto [first, last] = packed_.equal_range(wanted.id);
  const auto same = std::find_if(first, last, [&](const auto& each) { return each.second.pack.isSameAs(wanted); });
  if (same != last) return same->second.bytes;
  return packed_.emplace(wanted.id, Packed{wanted, pack(wanted)})->second.bytes;
}

void* CpuParameters::master(const Pack& wanted) {
  auto found = masters_.find(wanted.id);
  if (found == masters_.end()) {
    found = masters_.emplace(wanted.id, Packed{wanted, pack(wanted)}).first;
    // The source of a parameter that changes is not read again, so its copy need not stay. (An update may also list a
    // parameter that does not change.)
    if (program_->parameters[wanted.id].isMutable) {
      bytes_ -= sourceBytes(wanted.id);
      sources_[wanted.id] = {};
    }
  }
  if (!(found->second.pack.layout == wanted.layout)) {
    throw Error("device/unsupported",
                "parameter \"" + program_->parameters[wanted.id].name +
                    "\" is learned in a layout that these input shapes cannot use; load the net again with them");
  }
  return found->second.bytes;
}

void CpuParameters::write(ParameterId id, ParameterSource source) {
  const auto master = masters_.find(id);
  ParameterSource& own = sources_[id];
  if (own.bytes && maySourceBeBound(id)) {
    // Nothing else uses this copy: native code made it, or took ownership of it.
    materialise(source, program_->parameters[id].shape,
                reinterpret_cast<float*>(const_cast<unsigned char*>(own.bytes)));
  } else {
    bytes_ -= sourceBytes(id);
    own = std::move(source);
    bytes_ += sourceBytes(id);
  }
  const auto [first, last] = packed_.equal_range(id);
  for (auto each = first; each != last; ++each) packInto(each->second.pack, each->second.bytes);
  if (master != masters_.end()) {
    packInto(master->second.pack, master->second.bytes);
    if (program_->parameters[id].isMutable) {
      bytes_ -= sourceBytes(id);
      own = {};
    }
  }
  endPacking();
}

void CpuParameters::endPacking() {
  staging_.reset();
  scratch_.reset();
  scratchBytes_ = 0;
}

void CpuParameters::read(ParameterId id, float* destination) const {
  const auto master = masters_.find(id);
  if (master == masters_.end()) return materialise(sources_[id], program_->parameters[id].shape, destination);
  const auto& [pack, bytes] = master->second;
  if (pack.layout == pack.plain) {
    std::memcpy(destination, bytes, plainBytes(program_->parameters[id]));
    return;
  }
  if (const auto copy = FloatCopy::describe(pack.layout, pack.plain))
    return copy->run(pool_, reinterpret_cast<const float*>(bytes), destination);
  const dnnl::engine& engine = oneDnn_->engine();
  dnnl::memory from(pack.layout, engine, bytes), to(pack.plain, engine, destination);
  dnnl::reorder(from, to).execute(oneDnn_->stream(), from, to);
  oneDnn_->stream().wait();
}

}  // namespace resnode::cpu
