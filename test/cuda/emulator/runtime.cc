#include "emulator.h"

namespace resnode::emulator {

void submit(Launch launch, cudaStream_t) {
  checkLaunch(launch, 0);
  runGrid(launch);
}

}  // namespace resnode::emulator
