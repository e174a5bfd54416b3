/** An expected refusal is a value with its reason; an unexpected error is thrown. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E }

/** A success. */
export const ok = <T>(value: T): Result<T, never> => ({ ok: true, value })

/** An expected refusal, with its reason. */
export const err = <E>(error: E): Result<never, E> => ({ ok: false, error })
