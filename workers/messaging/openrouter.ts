/**
 * Text models through OpenRouter's chat completions (openrouter.ai/docs/api/reference/overview), with structured outputs: the
 * answer is JSON by our schema. Only providers that support this, and that store no prompts, may be used
 * (`require_parameters`, `data_collection`). A request is not repeated: each costs money, and a person can ask again.
 */
import * as z from "zod"
import { PARTS, type TemplatePart } from "../../shared/domain/messaging/templates/templates.ts"
import type { OutboundFetch } from "../../shared/network/outbound-fetch.ts"
import { retryAfterMs } from "../../shared/network/retry-after.ts"
import type { Draft, TextModel } from "../../shared/text-model.ts"
import { fieldsOf, join, post, type Reply } from "./http.ts"

export interface OpenRouterOptions {
  readonly apiKey: string
  readonly apiUrl: string
  readonly model: string
  readonly timeoutMs: number
  readonly fetch: OutboundFetch
}

/** Five texts within their limits have fewer tokens, in any language. */
const TOKENS_MAX = 1_500
/** Longer waits are not worth stating to a person. */
const RETRY_AFTER_MAX_MS = 10 * 60_000
/** Longer than any part may be; the template's own rules decide. */
const TEXT_CHARS_MAX = 2_000

const texts = z.lazy(() =>
  z.object(
    Object.fromEntries(PARTS.map((part) => [part, z.string().max(TEXT_CHARS_MAX)])) as Record<
      TemplatePart,
      z.ZodString
    >,
  ),
)

/** The same for the model. Strict schemas require every property, and know no lengths. */
const RESPONSE_FORMAT = {
  type: "json_schema",
  json_schema: {
    name: "template_words",
    strict: true,
    schema: {
      type: "object",
      properties: Object.fromEntries(PARTS.map((part) => [part, { type: "string" }])),
      required: PARTS,
      additionalProperties: false,
    },
  },
}

const failure = z.lazy(() => z.object({ code: z.union([z.number(), z.string()]) }))
const completion = z.lazy(() =>
  z.object({
    model: z.string().max(200).optional(),
    error: failure.optional(),
    choices: z
      .array(
        z.object({
          finish_reason: z.string().nullish(),
          error: failure.optional(),
          message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }).optional(),
        }),
      )
      .optional(),
  }),
)

/** The model of that name at OpenRouter. */
export const openRouterModel = ({ apiKey, apiUrl, model, timeoutMs, fetch }: OpenRouterOptions): TextModel => ({
  async draft({ system, user }, { requestId }) {
    const reply = await post({
      url: join(apiUrl, "/chat/completions"),
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
      body: JSON.stringify({
        model,
        messages: [
          { role: "system", content: system },
          { role: "user", content: user },
        ],
        response_format: RESPONSE_FORMAT,
        provider: { require_parameters: true, data_collection: "deny" },
        max_tokens: TOKENS_MAX,
      }),
      idempotencyKey: requestId,
      timeoutMs,
      fetch,
    })
    return draftOf(reply, model)
  },
})

/** What a reply means. */
export function draftOf(reply: Reply, asked: string): Draft {
  if (reply.kind === "unsendable") return { kind: "unavailable", reason: "invalid_request", retryAfterMs: null }
  if (reply.kind === "not_sent") return { ...reply, kind: "unavailable" }
  if (reply.kind === "lost") return { kind: "unavailable", reason: reply.reason, retryAfterMs: null }
  if (reply.status !== 200) return failed(reply.status, retryAfterMs(reply.headers, RETRY_AFTER_MAX_MS))
  const parsed = completion.safeParse(fieldsOf(reply.body))
  const [choice] = parsed.data?.choices ?? []
  // An error that occurs while the model writes is in the body of an answer with status 200.
  const error = parsed.data?.error ?? choice?.error
  if (error !== undefined) return failed(error.code, null)
  if (choice?.message?.refusal || choice?.finish_reason === "content_filter") return { kind: "refused" }
  if (choice?.finish_reason === "length") return { kind: "unusable", reason: "cut_off" }
  const words = texts.safeParse(fieldsOf(choice?.message?.content ?? ""))
  if (!words.success) return { kind: "unusable", reason: "unexpected_answer" }
  const written = PARTS.map((part) => [part, words.data[part].trim()] as const).filter(([, text]) => text !== "")
  return { kind: "drafted", words: Object.fromEntries(written), model: parsed.data?.model ?? asked }
}

/** 403: moderation, a guardrail or the model's own policy declined the request. */
const failed = (code: number | string, waitMs: number | null): Draft =>
  String(code) === "403"
    ? { kind: "refused" }
    : { kind: "unavailable", reason: `http_${String(code).slice(0, 20)}`, retryAfterMs: waitMs }
