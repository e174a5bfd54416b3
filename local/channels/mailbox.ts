import type { ChannelName, ProviderName } from "../../shared/domain/facts.ts"
import type { FaultTarget } from "../faults.ts"

/** A message that a channel accepted, as the member or the team would see it. */
export type MailboxMessage = {
  readonly channel: ChannelName
  readonly to: string
  readonly subject: string
  /** The plain text part. */
  readonly body: string
  /** The `Idempotency-Key` header of the request. No channel here uses it. */
  readonly idempotencyKey: string | null
  readonly at: string
  readonly html?: string | null
  readonly from?: string
  /** Where an answer to an e-mail goes; absent: to its sender. */
  readonly replyTo?: string
  /** The account of a company's own key that sent it (local/own-key.ts); absent: the world's. */
  readonly account?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly customArgs?: Readonly<Record<string, string>>
  readonly providerMessageId?: string
}

/** One request that a provider's API received. */
export type ProviderCall = {
  readonly provider: ProviderName
  readonly target: FaultTarget
  readonly method: string
  readonly path: string
  /** The connected account of the call (`Stripe-Account`); absent or null: the key's own. */
  readonly account?: string | null
  /** Query parameters of a GET, else the parsed body. */
  readonly body: unknown
  readonly idempotencyKey: string | null
  readonly at: string
  readonly status: number
  /** Whether the answer repeats that of an earlier call with the same key. */
  readonly isReplay: boolean
}

/** All messages and provider calls that the Worker sent. */
export type Mailbox = {
  readonly messages: readonly MailboxMessage[]
  readonly calls: readonly ProviderCall[]
  deliver(message: Omit<MailboxMessage, "at">): void
  record(call: Omit<ProviderCall, "at">): void
  /** Takes the messages to an address out of the mailbox. */
  take(to: string): readonly MailboxMessage[]
  clear(): void
}

/** A mailbox that stamps entries with the time of the local world. */
export function createMailbox(now: () => Date): Mailbox {
  const messages: MailboxMessage[] = []
  const calls: ProviderCall[] = []
  const at = (): string => now().toISOString()
  return {
    messages,
    calls,
    deliver: (message) => void messages.push({ ...message, at: at() }),
    record: (call) => void calls.push({ ...call, at: at() }),
    take(to) {
      const taken = messages.filter((message) => message.to === to)
      for (const message of taken) messages.splice(messages.indexOf(message), 1)
      return taken
    },
    clear() {
      messages.length = 0
      calls.length = 0
    },
  }
}
