const float = new Float32Array(1)
const floatBits = new Uint32Array(float.buffer)
const double = new Float64Array(1)
const doubleBits = new BigInt64Array(double.buffer)

/**
 * The largest double that XGBoost treats as below the threshold. XGBoost rounds a value to 32 bits first, so this is the last
 * double that rounds to the float below the threshold: their midpoint, if a tie rounds to that float (last bit 0).
 */
export function largestBelow(condition: number): number {
  const threshold = Math.fround(condition)
  if (threshold === Number.POSITIVE_INFINITY) return Number.MAX_VALUE
  if (!(threshold > -Number.MAX_VALUE)) return -Number.MAX_VALUE
  float[0] = threshold
  const bits = floatBits[0] ?? 0
  // The bits of a float ascend with its magnitude; below zero comes the smallest negative float.
  floatBits[0] = threshold > 0 ? bits - 1 : threshold === 0 ? 0x80000001 : bits + 1
  const below = float[0] ?? 0
  if (!Number.isFinite(below)) return -Number.MAX_VALUE
  const middle = (below + threshold) / 2
  if (((floatBits[0] ?? 0) & 1) === 0) return middle
  double[0] = middle
  doubleBits[0] = (doubleBits[0] ?? 0n) + (middle > 0 ? -1n : 1n)
  return double[0] ?? 0
}
