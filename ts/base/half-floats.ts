/** Converts 16-bit floats to float32, exactly. */

/** IEEE binary16, little-endian. */
export function fromFloat16(bytes: Uint8Array): Float32Array {
  return widen(bytes, (half) => {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 31;
    const mantissa = half & 1023;
    if (exponent === 31) return sign | 0x7f800000 | (mantissa << 13);
    if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
    if (mantissa === 0) return sign;
    // A subnormal number is normal in float32: its highest bit becomes the implicit one.
    const shift = Math.clz32(mantissa) - 21;
    return sign | ((113 - shift) << 23) | (((mantissa << shift) & 1023) << 13);
  });
}

/** bfloat16: the upper half of a float32, little-endian. */
export function fromBfloat16(bytes: Uint8Array): Float32Array {
  return widen(bytes, (half) => half << 16);
}

function widen(bytes: Uint8Array, bits: (half: number) => number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const result = new Int32Array(bytes.length >> 1);
  for (let i = 0; i < result.length; i++) result[i] = bits(view.getUint16(2 * i, true));
  return new Float32Array(result.buffer);
}
