// A library that is opened at run time: the driver, oneDNN, cuDNN, NCCL, and resnode's own devices. Nothing of the others
// need be installed to build or load ours.
#pragma once

#include <string>

namespace resnode {

class SharedLibrary {
 public:
  enum class Binding { now, lazy };

  // `path`: a file, or a bare name that the loader searches for. Where it cannot be opened, why() is not empty.
  explicit SharedLibrary(const std::string& path, Binding binding = Binding::now);
  ~SharedLibrary();
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  bool isOpen() const { return handle_ != nullptr; }
  // Why it is not open, for a message that names the path.
  const std::string& why() const { return why_; }
  // Null where the library has no such function.
  template <class Function>
  Function function(const char* name) const {
    return reinterpret_cast<Function>(symbol(name));
  }
  // Where the loader found it; the path that was given where it does not say.
  std::string file() const;
  // Until the process ends: for what has threads of its own, or hands out what it keeps.
  void keepOpen() { isKept_ = true; }

 private:
  void* symbol(const char* name) const;

  std::string path_, why_;
  void* handle_ = nullptr;
  bool isKept_ = false;
};

// The first function that is missing goes to `missing`, which is empty before.
template <class Function>
void loadFunction(const SharedLibrary& library, const char* name, Function& function, std::string& missing) {
  function = library.function<Function>(name);
  if (!function && missing.empty()) missing = name;
}

}  // namespace resnode
