#include "native/addon/device.h"

namespace resnode {
namespace {

// A run that settles its promise when it is completed.
class SettlingRun final : public StartedRun {
 public:
  SettlingRun(std::unique_ptr<StartedRun> run, std::shared_ptr<Settlement<int>> state, std::function<void()> after)
      : run_(std::move(run)), state_(std::move(state)), after_(std::move(after)) {}
  bool finished() override { return run_->finished(); }
  void complete() override {
    state_->attempt([&] { run_->complete(); });
    std::exchange(after_, nullptr)();
    Settlement<int>::settle(std::exchange(state_, nullptr));
  }

 private:
  std::unique_ptr<StartedRun> run_;
  std::shared_ptr<Settlement<int>> state_;
  std::function<void()> after_;
};

}  // namespace

Napi::Promise submitRun(Napi::Env env, const std::shared_ptr<Device>& device,
                        std::function<std::unique_ptr<StartedRun>()> start, std::function<void()> cancel,
                        std::function<void()> after, std::function<void(Napi::Env)> settled,
                        std::function<Napi::Value(Napi::Env)> finish) {
  const auto state = std::make_shared<Settlement<int>>(
      env, device, [finish = std::move(finish)](Napi::Env loop, int&) { return finish(loop); }, std::move(cancel));
  state->settled = std::move(settled);
  const bool taken = device->thread->postRun([mine = state, start = std::move(start), after = std::move(after)](
                                                 Backend&) mutable -> std::unique_ptr<StartedRun> {
    std::unique_ptr<StartedRun> run;
    mine->attempt([&] { run = std::exchange(start, nullptr)(); });
    if (run) return std::make_unique<SettlingRun>(std::move(run), std::move(mine), std::move(after));
    std::exchange(after, nullptr)();
    Settlement<int>::settle(std::exchange(mine, nullptr));
    return nullptr;
  });
  return Settlement<int>::promise(env, state, taken);
}

}  // namespace resnode
