// Errors carry the stable code that TypeScript turns into a typed error (ts/native/load.ts).
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace resnode {

class Error : public std::runtime_error {
 public:
  // code: `area/what`; layer: the Caffe layer that caused the error, or empty.
  Error(std::string code, const std::string& message, std::string layer = {})
      : std::runtime_error(message), code_(std::move(code)), layer_(std::move(layer)) {}

  const std::string& code() const noexcept { return code_; }
  const std::string& layer() const noexcept { return layer_; }

 private:
  std::string code_;
  std::string layer_;
};

// Thrown between operations when a run's cancel flag is set.
class Aborted : public Error {
 public:
  Aborted() : Error("aborted", "The run was aborted") {}
};

}  // namespace resnode
