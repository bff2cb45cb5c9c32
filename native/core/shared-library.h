// A library that is opened at run time: the driver, oneDNN, cuDNN, NCCL, or one of resnode's own devices. Nobody needs
// the other libraries to build or load resnode.
#pragma once

#include <string>

namespace resnode {

class SharedLibrary {
 public:
  enum class Binding { now, lazy };

  // `path`: a file, or a name without a folder, which the loader searches for. If it cannot be opened, why() is not
  // empty.
  explicit SharedLibrary(const std::string& path, Binding binding = Binding::now);
  ~SharedLibrary();
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  bool isOpen() const { return handle_ != nullptr; }
  // Why the library is not open. The message names the path.
  const std::string& why() const { return why_; }
  // Null if the library has no such function.
  template <class Function>
  Function function(const char* name) const {
    return reinterpret_cast<Function>(symbol(name));
  }
  // The file that the loader found, or the given path if the loader does not report it.
  std::string file() const;
  // Keeps the library open until the process ends. Needed if it has threads of its own, or returns pointers that it
  // owns.
  void keepOpen() { isKept_ = true; }

 private:
  void* symbol(const char* name) const;

  std::string path_, why_;
  void* handle_ = nullptr;
  bool isKept_ = false;
};

// `missing` must be empty before. It gets the name of the first function that the library lacks.
template <class Function>
void loadFunction(const SharedLibrary& library, const char* name, Function& function, std::string& missing) {
  function = library.function<Function>(name);
  if (!function && missing.empty()) missing = name;
}

}  // namespace resnode
