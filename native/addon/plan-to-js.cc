#include "native/addon/plan-to-js.h"

namespace resnode {

Napi::Value planToJs(Napi::Env env, const std::shared_ptr<Device>& device, const std::shared_ptr<Plan>& plan) {
  const PlanDescription& description = plan->description();
  Napi::Object object = Napi::Object::New(env);
  Napi::Array implementations = Napi::Array::New(env);
  for (uint32_t i = 0; i < description.implementations.size(); ++i)
    implementations.Set(i, description.implementations[i]);
  object.Set("implementations", implementations);
  object.Set("arenaBytes", static_cast<double>(description.arena.bytes));
  object.Set("separateBytes", static_cast<double>(description.arena.separateBytes));
  object.Set("workspaceBytes", static_cast<double>(description.workspaceBytes));
  object.Set("parameterBytes", static_cast<double>(description.parameterBytes));
  holdOn(device, object, plan, kPlanTag);
  return object;
}

}  // namespace resnode
