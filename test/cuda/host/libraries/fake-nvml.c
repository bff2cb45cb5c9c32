// A libnvidia-ml.so.1 whose GPUs have RESNODE_FAKE_NVML_BYTES of memory, half of it free.
#include <stdlib.h>

struct Memory {
  unsigned long long total, free, used;
};

int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  *device = (void*)bus;
  return bus[0] ? 0 : 2;
}
int nvmlDeviceGetMemoryInfo(void* device, struct Memory* memory) {
  const char* bytes = getenv("RESNODE_FAKE_NVML_BYTES");
  if (!device || !bytes) return 2;
  memory->total = strtoull(bytes, NULL, 10);
  memory->free = memory->used = memory->total / 2;
  return 0;
}
