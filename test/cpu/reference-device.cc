// The reference device as a library that the addon opens in place of the CPU's; sanitized.test.ts builds it.
#include "native/core/interface-stamp.h"
#include "native/reference/backend.h"

extern "C" __attribute__((visibility("default"))) const char* resnode_interface_stamp() {
  return resnode::interfaceStamp();
}

extern "C" __attribute__((visibility("default"))) resnode::Backend* resnode_create_backend(
    const resnode::BackendOptions&) {
  return resnode::reference::createBackend().release();
}
