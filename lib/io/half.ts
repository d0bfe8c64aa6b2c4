/**
 * 16-bit floats widened to float32, which holds every one of them exactly.
 *
 * float16:  sign 1, exponent 5 (bias 15), mantissa 10.   value = (-1)^s 2^(e-15) (1 + m/1024), subnormal 2^-14 m/1024
 * bfloat16: the upper half of a float32.
 */

/** bfloat16 bit patterns as float32. */
export function widenBfloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}

/** float16 bit patterns as float32. */
export function widenFloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < bits.length; i++) {
    const sign = (bits[i] & 0x8000) << 16;
    const exponent = (bits[i] >> 10) & 0x1f;
    const mantissa = bits[i] & 0x3ff;
    if (exponent === 0) {
      // Subnormal in float16, normal in float32: let the arithmetic normalise it. Covers both zeros.
      floats[i] = (sign === 0 ? 1 : -1) * mantissa * 2 ** -24;
    } else {
      // 31 means infinity or NaN and maps to float32's 255; the other exponents change their bias from 15 to 127.
      const wide = exponent === 31 ? 255 : exponent + 112;
      words[i] = sign | (wide << 23) | (mantissa << 13);
    }
  }
  return floats;
}
