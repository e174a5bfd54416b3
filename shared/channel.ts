/** The interface of a channel: one way to send a message to a member or the team. */
import type { ChannelName, SentWith } from "./domain/facts.ts"
import type { SendOutcome } from "./domain/recovery/nudges/nudge-outcome.ts"
import type { AccountGrant } from "./provider-account.ts"

/** A rendered message, ready to send. */
export interface Message {
  /** Address in the channel's format: e-mail address, E.164 number, provider's user id, or the team's webhook. */
  readonly to: string
  readonly subject: string
  /** Plain text; never contains markup. */
  readonly text: string
  /** HTML for channels that show it; null elsewhere. */
  readonly html: string | null
  /** RFC 8058 one-click target; null where the channel has no such header or the message is for the team. */
  readonly unsubscribeUrl: string | null
  /** Where answers to an e-mail go; absent or null: as the sender is configured. */
  readonly replyTo?: string | null
  /** What of the company's own it was made with; absent: nothing, or not a message of a nudge. */
  readonly sentWith?: SentWith
}

export interface SendOptions {
  readonly idempotencyKey: string
  /** For channels of a billing provider, which send nothing without it: the account in which they send. */
  readonly grant?: AccountGrant | null
}

/** `send` never throws for a failure of the remote service; it classifies it. */
export interface Channel {
  readonly name: ChannelName
  /** False when the deployment has no credentials for it; such a channel is skipped. */
  readonly isConfigured: boolean
  send(message: Message, options: SendOptions): Promise<SendOutcome>
}
