#include "native/addon/plan-to-js.h"

namespace resnode {

Napi::Value planToJs(Napi::Env env, const std::shared_ptr<Device>& device, const std::shared_ptr<Plan>& plan) {
  const PlanDescription& description = plan->description();
  Napi::Object object = Napi::Object::New(env);
  Napi::Array buffers = Napi::Array::New(env), tensors = Napi::Array::New(env), implementations = Napi::Array::New(env);
  for (uint32_t i = 0; i < description.buffers.size(); ++i) {
    const PlannedBuffer& buffer = description.buffers[i];
    Napi::Object each = Napi::Object::New(env);
    each.Set("name", buffer.name);
    each.Set("bytes", static_cast<double>(buffer.bytes));
    each.Set("from", buffer.from);
    each.Set("to", buffer.to);
    buffers.Set(i, each);
  }
  for (uint32_t i = 0; i < description.tensorBuffers.size(); ++i) tensors.Set(i, description.tensorBuffers[i]);
  for (uint32_t i = 0; i < description.implementations.size(); ++i)
    implementations.Set(i, description.implementations[i]);
  object.Set("buffers", buffers);
  object.Set("tensorBuffers", tensors);
  object.Set("implementations", implementations);
  object.Set("alignment", static_cast<double>(description.alignment));
  object.Set("workspaceBytes", static_cast<double>(description.workspaceBytes));
  object.Set("parameterBytes", static_cast<double>(description.parameterBytes));
  holdOn(device, object, plan, kPlanTag);
  return object;
}

}  // namespace resnode
