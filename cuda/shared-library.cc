#include "cuda/shared-library.h"

#include <link.h>

#include <filesystem>

namespace resnode::cuda {

OpenedLibrary openSharedLibrary(const std::string& path) {
  std::error_code ignored;
  if (path.find('/') != std::string::npos && !std::filesystem::exists(path, ignored)) return {nullptr, "no such file"};
  dlerror();
  if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return {library, {}};
  const char* why = dlerror();
  return {nullptr, why ? why : "dlopen failed"};
}

std::string fileOf(void* library, const std::string& otherwise) {
  link_map* map = nullptr;
  return dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name[0] ? map->l_name : otherwise;
}

}  // namespace resnode::cuda
