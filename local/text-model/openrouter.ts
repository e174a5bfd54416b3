/**
 * A local replacement of OpenRouter's chat completions. It rewrites the words in the request instead of asking a model. Like
 * the test cards of payment providers, a word in the voice makes it fail: see `BEHAVIOURS`.
 */
import { z } from "zod"
import { type Faults, jsonReply, type Listening, type Reply, type StandInRequest, serve } from "../faults.ts"
import { headerOf } from "../loopback.ts"
import { bearerOf } from "../own-key.ts"

/** Starts the server. */
export function startOpenRouter({
  faults,
  onRequest,
  apiKey,
}: {
  readonly faults: Faults
  readonly onRequest?: () => void
  readonly apiKey: string
}): Promise<Listening> {
  return serve(undefined, (req, res) =>
    faults.intercept("openrouter", req, res, (body) => {
      onRequest?.()
      return handleOpenRouter(req, body, apiKey)
    }),
  )
}

const request = z.object({
  model: z.string(),
  messages: z.array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() })).min(1),
  response_format: z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({ strict: z.literal(true), schema: z.object({ required: z.array(z.string()) }) }),
  }),
})

/** What our prompt asks for. */
const asked = z.object({
  message: z.object({ about: z.string() }),
  currentWords: z.record(z.string(), z.string()),
  voice: z.string(),
})

type Asked = z.output<typeof asked>

/** The answers by the word in the voice; without one, words that a template accepts. */
const BEHAVIOURS: Readonly<Record<string, (model: string, wanted: Asked) => Reply>> = {
  "stand-in:refusal": (model) => completed(model, { content: null, refusal: "I cannot help with that." }),
  "stand-in:moderation": () => failed(403, "Your input was flagged"),
  "stand-in:no-credits": () => failed(402, "Insufficient credits"),
  "stand-in:error-in-answer": () => jsonReply({ error: { code: 502, message: "Provider returned error" } }),
  "stand-in:garbage": (model) => completed(model, { content: "Sure! Here are some ideas: …" }),
  "stand-in:cut-off": (model) => completed(model, { content: '{"subject": "Your pay' }, "length"),
  "stand-in:link": (model, wanted) =>
    completed(model, { content: JSON.stringify({ ...drafted(wanted), ask: "Pay at https://evil.example now." }) }),
}

/** Answers one request, without a server. */
export function handleOpenRouter(req: StandInRequest, body: Buffer, apiKey: string): Reply {
  if (bearerOf(headerOf(req, "authorization")) !== apiKey) return failed(401, "No auth credentials found")
  if (req.method !== "POST" || req.url !== "/api/v1/chat/completions") return failed(404, "Not Found")
  const parsed = request.safeParse(parseJson(body.toString("utf8")))
  if (!parsed.success) return failed(400, parsed.error.issues[0]?.message ?? "Bad Request")
  const { model, messages } = parsed.data
  const wanted = asked.safeParse(parseJson(messages.findLast(({ role }) => role === "user")?.content ?? ""))
  if (!wanted.success) return completed(model, { content: "What shall I write?" })
  const [, behave] = Object.entries(BEHAVIOURS).find(([word]) => wanted.data.voice.includes(word)) ?? []
  return behave?.(model, wanted.data) ?? completed(model, { content: JSON.stringify(drafted(wanted.data)) })
}

/** Words for any message, with the current subject in them so that a reader sees what they were made from. */
const drafted = ({ currentWords, voice }: Asked) => ({
  subject: currentWords.subject === undefined ? "A quick note from {brand}" : `A quick note: ${currentWords.subject}`,
  opening: `This draft was written locally, in this voice: ${voice.replaceAll(/[^\p{L}\p{N} ,]/gu, " ").slice(0, 200)}.`,
  ask: currentWords.ask ?? "It takes a minute to put it right.",
  button: currentWords.button ?? "Put it right",
  short: currentWords.short ?? "a minute is all it takes.",
})

function completed(
  model: string,
  message: { readonly content: string | null; readonly refusal?: string },
  finishReason = "stop",
): Reply {
  return jsonReply({
    id: "gen-local",
    object: "chat.completion",
    created: 0,
    model,
    choices: [
      {
        index: 0,
        finish_reason: finishReason,
        native_finish_reason: finishReason,
        message: { role: "assistant", refusal: null, ...message },
      },
    ],
    usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
  })
}

const failed = (code: number, message: string): Reply => jsonReply({ error: { code, message } }, code)

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null // refused by the schema
  }
}
