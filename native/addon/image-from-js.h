#pragma once

#include <napi.h>

namespace resnode {

// prepareImage(pixels: Uint8Array, options): Promise<Float32Array>; see ts/native/binding.ts.
Napi::Value prepareImage(const Napi::CallbackInfo& info);

// resizeImage(pixels: Uint8Array, options): Promise<Uint8Array>.
Napi::Value resizeImage(const Napi::CallbackInfo& info);
// mapScores(scores: Float32Array, options): Promise<Uint8Array | Float32Array>.
Napi::Value mapScores(const Napi::CallbackInfo& info);

}  // namespace resnode
