/**
 * `POST /api/templates/suggest`: a text model drafts words for a template. It saves and sends nothing: a person reads the draft,
 * changes it, and saves it as a template or starts a comparison with it.
 */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { suggestionPrompt, VOICE_CHARS_MAX } from "../../../shared/domain/messaging/templates/suggestion.ts"
import {
  PARTS,
  type TemplateFault,
  type TemplatePlace,
  type TemplateWords,
} from "../../../shared/domain/messaging/templates/templates.ts"
import type { Draft } from "../../../shared/text-model.ts"
import { AppError } from "../../platform/errors.ts"
import { withPermission } from "../../platform/http/auth.ts"
import { validJson } from "../../platform/http/request.ts"
import { enforceCompanyLimit } from "../../platform/limits/companies.ts"
import { suggestionsLimit } from "../../platform/limits/limits.ts"
import type { AppEnv } from "../../platform/services.ts"
import { checkWords, inOneSentence } from "./save-template.ts"
import { templatePlace, templateWords } from "./template-schema.ts"

const request = z.strictObject({
  ...templatePlace,
  /** The words to start from. */
  words: templateWords.default({}),
  /** How the company speaks. */
  voice: z.string().max(VOICE_CHARS_MAX).default(""),
})

export const suggestions = new Hono<AppEnv>().post(
  "/",
  withPermission("templates:write"),
  validJson(request),
  async (c) => {
    const { words, voice, ...place } = c.req.valid("json")
    const { log, newId, textModel } = c.get("services")
    const { companyId, keyId } = c.get("principal")
    if (textModel === null) {
      throw new AppError("CONFLICT", "Suggestions are not set up: the deployment has no OPENROUTER_API_KEY.", {
        reason: "suggestions_not_configured",
      })
    }
    await enforceCompanyLimit(c, suggestionsLimit, companyId)
    const prompt = suggestionPrompt({ ...place, words, voice: voice.trim() === "" ? null : voice })
    const draft = await textModel.draft(prompt, { requestId: newId() })
    log.info("words_suggested", {
      companyId,
      keyId,
      outcome: draft.kind,
      ...("reason" in draft && { reason: draft.reason }),
    })
    if (draft.kind !== "drafted") throw refusalOf(draft)
    const { kept, faults } = await usableParts(c, place, draft.words)
    if (Object.keys(kept).length === 0) {
      throw new AppError("BAD_GATEWAY", `The model's words cannot be used: ${inOneSentence(faults)}.`, {
        reason: "suggestion_unusable",
        extension: { faults },
      })
    }
    return c.json({ words: kept, faults, model: draft.model })
  },
)

function refusalOf(draft: Exclude<Draft, { kind: "drafted" }>): AppError {
  const { kind } = draft
  if (kind === "refused") {
    return new AppError(
      "BAD_GATEWAY",
      "The model declined to write these words. Change the voice, or write them yourself.",
      {
        reason: "suggestion_refused",
      },
    )
  }
  if (kind === "unusable") {
    return new AppError(
      "BAD_GATEWAY",
      "The model answered something else than words. Try again, or write them yourself.",
      {
        reason: "suggestion_unusable",
      },
    )
  }
  return new AppError(
    "UNAVAILABLE",
    "The model is not available right now. Try again later, or write the words yourself.",
    {
      reason: draft.reason,
      retryAfterSeconds: Math.max(1, Math.ceil((draft.retryAfterMs ?? 0) / 1_000)),
    },
  )
}

/** The parts of a draft that a template accepts, and the faults of the others. Faults of room show when the rest is faultless. */
async function usableParts(c: Context<AppEnv>, place: TemplatePlace, drafted: TemplateWords) {
  let kept = drafted
  const faults: TemplateFault[] = []
  while (Object.keys(kept).length > 0) {
    const found = (await checkWords(c, place, kept)).faults
    if (found.length === 0) break
    faults.push(...found)
    const faulty = new Set(found.map(({ part }) => part))
    kept = Object.fromEntries(
      PARTS.flatMap((part) => (kept[part] === undefined || faulty.has(part) ? [] : [[part, kept[part]]])),
    )
  }
  return { kept, faults }
}
