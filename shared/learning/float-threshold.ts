const float = new Float32Array(1)
const floatBits = new Uint32Array(float.buffer)
const double = new Float64Array(1)
const doubleBits = new BigInt64Array(double.buffer)

/**
 * The largest double that XGBoost takes for below the threshold. It rounds a value to 32 bits first, so that is the last
 * one that rounds to the float under the threshold: their middle, when the tie goes to that float (whose last bit is 0).
 */
export function largestBelow(condition: number): number {
  const threshold = Math.fround(condition)
  if (threshold === Number.POSITIVE_INFINITY) return Number.MAX_VALUE
  if (!(threshold > -Number.MAX_VALUE)) return -Number.MAX_VALUE
  float[0] = threshold
  const bits = floatBits[0] ?? 0
  // Bits ascend with the size of the number; below zero is the smallest negative one.
  floatBits[0] = threshold > 0 ? bits - 1 : threshold === 0 ? 0x80000001 : bits + 1
  const below = float[0] ?? 0
  if (!Number.isFinite(below)) return -Number.MAX_VALUE
  const middle = (below + threshold) / 2
  if (((floatBits[0] ?? 0) & 1) === 0) return middle
  double[0] = middle
  doubleBits[0] = (doubleBits[0] ?? 0n) + (middle > 0 ? -1n : 1n)
  return double[0] ?? 0
}
