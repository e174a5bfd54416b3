/**
 * The most subrequests that each unit of work makes: work begins only when its budget has room for them.
 * `test/flows/platform/outbound.test.ts` measures each on the real code. Not included are optional calls (publishing a
 * nudge to QStash, retries, reading again after a conflict): each checks the budget itself.
 */

/** One Redis command, and its one retry. */
const COMMAND = 2

/** Reading a stream again and committing once more, after another writer was first. */
export const CONFLICT_RETRY_SUBREQUESTS = 2

/**
 * Writing the result of a send, once more when that fails, and three conflicts: once a nudge is marked, this must be possible
 * in any case.
 */
export const RECEIPT_SUBREQUESTS = 2 + 3 * CONFLICT_RETRY_SUBREQUESTS

/**
 * Determining the account for a provider call: the company's credentials and accounts, the company of the key's account,
 * and the event.
 */
export const GRANT_SUBREQUESTS = 4

/** A nudge from its mark on: the switches once more, the grant and the two calls of a direct message, the receipt. */
export const MARKED_NUDGE_SUBREQUESTS = COMMAND + GRANT_SUBREQUESTS + 2 + RECEIPT_SUBREQUESTS

/**
 * A nudge from its beginning: the switches, the claim, the mark, once more when it has no answer, and what comes after the
 * mark. Several nudges together make fewer calls, also when each must be marked alone because marking them together failed.
 */
export const NUDGE_SUBREQUESTS = COMMAND + 3 + MARKED_NUDGE_SUBREQUESTS

/** Applying an incentive at a provider: reading the subscription, creating a coupon, applying it. */
export const INCENTIVE_SUBREQUESTS = GRANT_SUBREQUESTS + 3

/** Processing an event again: reading it, its facts, one commit, or recording that it failed. */
export const EVENT_SUBREQUESTS = 4

/**
 * Fetching the object of a thin event (three calls, each with one retry), and processing the snapshot event like a
 * delivery.
 */
export const EXPAND_SUBREQUESTS = GRANT_SUBREQUESTS + 1 + 3 * 2 + EVENT_SUBREQUESTS

/**
 * A delivery in the fallback queue: company, record, switches, folding it or the event that exists already, and
 * removing it from Redis, with a copy for the operator when it can never be stored.
 */
export const FALLBACK_SUBREQUESTS = 2 + COMMAND + EVENT_SUBREQUESTS + 2 * COMMAND

/** An event whose account was registered since: reading it, the calls of a fallback delivery, and removing it. */
export const UNMAPPED_SUBREQUESTS = 1 + FALLBACK_SUBREQUESTS + 1

/** An object without a customer: recording the look-up, the provider's calls, the object link, one commit. */
export const OBJECT_SUBREQUESTS = GRANT_SUBREQUESTS + 9

/**
 * A subscription with contradicting snapshots: recording the look-up, its customer, the provider's call, the company of
 * the account, recording the result, the switches twice, its customer again, one commit.
 */
export const SETTLE_SUBREQUESTS = 2 + GRANT_SUBREQUESTS + 2 + 2 + 2 * COMMAND + 2

/** A page of dead letters: listing it, redriving it. */
export const DEAD_LETTER_PAGE_SUBREQUESTS = 2

/** A chunk of due nudges: publishing it to QStash, or releasing its claims. */
export const CHUNK_SUBREQUESTS = 2

/** Searching a company for members at risk: its settings, its scores. */
export const RISK_COMPANY_SUBREQUESTS = 3

/** Training an uplift model: the number of cases, four pages of them, and storing the model. */
export const UPLIFT_SUBREQUESTS = 1 + 4 + 1

/** Opening or closing an at-risk case: the stream, one commit, a conflict, publishing its first message. */
export const RISK_CASE_SUBREQUESTS = 2 + CONFLICT_RETRY_SUBREQUESTS + 1

/** Recording the end of a job run. */
export const END_RUN_SUBREQUESTS = 1

/**
 * Scoring a batch of customers: customers and serving models, a model that is not cached, the ledgers, the scores;
 * progress.
 */
export const SCORE_SUBREQUESTS = 5
