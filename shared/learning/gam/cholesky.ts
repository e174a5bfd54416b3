/** Linear algebra of the scorecard: dense symmetric positive definite systems, stored by rows in one array. */

/** Factors `matrix` (size × size, lower half) in place into L of L·Lᵀ; false if it is not positive definite. */
export function factor(matrix: Float64Array, size: number): boolean {
  for (let i = 0; i < size; i++) {
    const rowI = i * size
    for (let j = 0; j <= i; j++) {
      const rowJ = j * size
      let sum = matrix[rowI + j] ?? 0
      for (let k = 0; k < j; k++) sum -= (matrix[rowI + k] ?? 0) * (matrix[rowJ + k] ?? 0)
      if (i !== j) matrix[rowI + j] = sum / (matrix[rowJ + j] ?? 1)
      else if (sum > 0 && sum < Number.POSITIVE_INFINITY) matrix[rowI + i] = Math.sqrt(sum)
      else return false
    }
  }
  return true
}

/** Solves L·Lᵀ·x = b, given L. */
export function solve(lower: Float64Array, size: number, b: Float64Array): Float64Array {
  const x = Float64Array.from(b)
  for (let i = 0; i < size; i++) {
    let sum = x[i] ?? 0
    for (let k = 0; k < i; k++) sum -= (lower[i * size + k] ?? 0) * (x[k] ?? 0)
    x[i] = sum / (lower[i * size + i] ?? 1)
  }
  for (let i = size - 1; i >= 0; i--) {
    const value = (x[i] ?? 0) / (lower[i * size + i] ?? 1)
    x[i] = value
    for (let k = 0; k < i; k++) x[k] = (x[k] ?? 0) - (lower[i * size + k] ?? 0) * value
  }
  return x
}

/** The inverse of L, given L: lower triangular too. */
export function invertLower(lower: Float64Array, size: number): Float64Array {
  const inverse = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    const row = i * size
    const pivot = lower[row + i] ?? 1
    for (let k = 0; k < i; k++) {
      const weight = (lower[row + k] ?? 0) / pivot
      if (weight === 0) continue
      for (let j = 0; j <= k; j++) inverse[row + j] = (inverse[row + j] ?? 0) - weight * (inverse[k * size + j] ?? 0)
    }
    inverse[row + i] = 1 / pivot
  }
  return inverse
}

/** The square diagonal block of the inverse of L·Lᵀ that starts at `start`, given the inverse of L. */
export function inverseBlock(inverse: Float64Array, size: number, start: number, width: number): Float64Array {
  const block = new Float64Array(width * width)
  for (let k = start; k < size; k++) {
    const row = k * size + start
    for (let i = 0; i < width; i++) {
      const weight = inverse[row + i] ?? 0
      if (weight === 0) continue
      for (let j = 0; j < width; j++)
        block[i * width + j] = (block[i * width + j] ?? 0) + weight * (inverse[row + j] ?? 0)
    }
  }
  return block
}
