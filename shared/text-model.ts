/** The interface of a text model, which drafts the words of templates. */
import type { Prompt } from "./domain/messaging/templates/suggestion.ts"
import type { TemplateWords } from "./domain/messaging/templates/templates.ts"

/**
 * How a request for a draft ended. `refused`: the model, or a filter before it, declined. `unusable`: it answered something
 * else than the texts that were asked for. `unavailable`: there was no answer, or the service reported a failure.
 */
export type Draft =
  | { readonly kind: "drafted"; readonly words: TemplateWords; readonly model: string }
  | { readonly kind: "refused" }
  | { readonly kind: "unusable"; readonly reason: "cut_off" | "unexpected_answer" }
  | { readonly kind: "unavailable"; readonly reason: string; readonly retryAfterMs: number | null }

/** `draft` never throws for a failure of the remote service; it classifies it. */
export interface TextModel {
  draft(prompt: Prompt, options: { readonly requestId: string }): Promise<Draft>
}
