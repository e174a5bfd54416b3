/**
 * What units of work cost in calls to the outside, at most: work is begun only when its budget has room for so many.
 * `test/flows/platform/outbound.test.ts` measures each on the real code. Left out is what is optional (handing a nudge to QStash,
 * repeating a call, reading again after a lost race): it asks for room of its own when it comes to it.
 */

/** One command to Redis, and its one repetition. */
const COMMAND = 2

/** Reading a stream again and committing once more, after another writer was first. */
export const CONFLICT_RETRY_SUBREQUESTS = 2

/** Writing how a send went, with three lost races: from the mark on this must be possible whatever else happens. */
export const RECEIPT_SUBREQUESTS = 1 + 3 * CONFLICT_RETRY_SUBREQUESTS

/** Finding out in which account's name a provider may be called: the company's accounts, whose the key's is, and the event. */
export const GRANT_SUBREQUESTS = 3

/** A nudge from its mark on: the switches once more, the grant and the two calls of a direct message, the receipt. */
export const MARKED_NUDGE_SUBREQUESTS = COMMAND + GRANT_SUBREQUESTS + 2 + RECEIPT_SUBREQUESTS

/** A nudge from its beginning: the switches, the claim, the mark, and what comes after the mark. */
export const NUDGE_SUBREQUESTS = COMMAND + 2 + MARKED_NUDGE_SUBREQUESTS

/** What applying an incentive asks of a provider: reading the subscription, making a coupon, putting it in. */
export const INCENTIVE_SUBREQUESTS = GRANT_SUBREQUESTS + 3

/** An event once more: reading it, its facts, one commit, or a note that it failed. */
export const EVENT_SUBREQUESTS = 4

/** Asking for what a thin event only names (three calls, each with its repetition), and its twin on the way of every delivery. */
export const EXPAND_SUBREQUESTS = GRANT_SUBREQUESTS + 1 + 3 * 2 + EVENT_SUBREQUESTS

/**
 * A parked delivery: company, record, switches, folding it or the event that was there already, and taking it out of
 * Redis, with a copy for a person when it can never be stored.
 */
export const FALLBACK_SUBREQUESTS = 2 + COMMAND + EVENT_SUBREQUESTS + 2 * COMMAND

/** An event whose account was registered since: reading it, all that a parked delivery costs, and taking it out. */
export const UNMAPPED_SUBREQUESTS = 1 + FALLBACK_SUBREQUESTS + 1

/** An object without a customer: noting that it is asked about, the provider's calls, tying, one commit. */
export const OBJECT_SUBREQUESTS = GRANT_SUBREQUESTS + 9

/**
 * A subscription that is not clear: noting that it is asked about, its customer, the provider's call, whose the account is,
 * recording what it shows, the switches twice, its customer once more, one commit.
 */
export const SETTLE_COST = 2 + GRANT_SUBREQUESTS + 2 + 2 + 2 * COMMAND + 2

/** A page of dead messages: listing it, delivering it anew. */
export const DEAD_LETTER_PAGE_SUBREQUESTS = 2

/** A chunk of due nudges: handing it to QStash, or giving its nudges back. */
export const CHUNK_SUBREQUESTS = 2

/** A company looked through for members at risk: its settings, its scores. */
export const RISK_COMPANY_SUBREQUESTS = 3

/** Learning whom contact keeps: how many cases there are, four pages of them, and what was learned. */
export const UPLIFT_SUBREQUESTS = 1 + 4 + 1

/** A case of a feared leaving, opened or ended: the stream, one commit, a lost race, handing its first message over. */
export const RISK_CASE_SUBREQUESTS = 2 + CONFLICT_RETRY_SUBREQUESTS + 1

/** Noting how a run of a job ended. */
export const END_RUN_SUBREQUESTS = 1

/** Scoring some customers: who they are and what serves, a model that is not remembered, the ledgers, the log; and a note. */
export const SCORE_SUBREQUESTS = 5
