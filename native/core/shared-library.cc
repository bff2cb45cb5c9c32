#include "native/core/shared-library.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

namespace resnode {

SharedLibrary::SharedLibrary(const std::string& path, Binding binding) : path_(path) {
  if (path.find('/') != std::string::npos && access(path.c_str(), F_OK) != 0) {
    why_ = "no such file";
    return;
  }
  handle_ = dlopen(path.c_str(), (binding == Binding::now ? RTLD_NOW : RTLD_LAZY) | RTLD_LOCAL);
  if (handle_) return;
  const char* said = dlerror();
  why_ = said ? said : "dlopen failed";
}

SharedLibrary::~SharedLibrary() {
  if (handle_ && !isKept_) dlclose(handle_);
}

void* SharedLibrary::symbol(const char* name) const { return handle_ ? dlsym(handle_, name) : nullptr; }

std::string SharedLibrary::file() const {
  link_map* map = nullptr;
  const bool says = handle_ && dlinfo(handle_, RTLD_DI_LINKMAP, static_cast<void*>(&map)) == 0;
  return says && map && map->l_name[0] ? map->l_name : path_;
}

}  // namespace resnode
