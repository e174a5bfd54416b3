/** A refusal that we expect is a value with its reason; what nobody expects is thrown. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E }

/** The good outcome. */
export const ok = <T>(value: T): Result<T, never> => ({ ok: true, value })

/** The expected refusal, with its reason. */
export const err = <E>(error: E): Result<never, E> => ({ ok: false, error })
