/**
 * `/api/templates/:id/experiment`: the comparison of a template's words with variants. It starts and ends with a version of
 * the template, so two people cannot change it at once, and the versions show what was compared when.
 */
import { Hono } from "hono"
import * as z from "zod"
import { CONTROL, VARIANTS_MAX, WEIGHT_MAX } from "../../../shared/domain/messaging/templates/variants.ts"
import { AppError } from "../../platform/errors.ts"
import { withPermission } from "../../platform/http/auth.ts"
import { validId, validJson } from "../../platform/http/request.ts"
import type { AppEnv } from "../../platform/services.ts"
import { latestOf, requireUsable, saveVersion, showTemplate } from "./save-template.ts"
import { templateWords } from "./template-schema.ts"

const weight = z.int().min(1).max(WEIGHT_MAX)
const variant = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,29}$/, "expected up to 30 lower-case letters, digits, - or _")
    .refine((name) => name !== CONTROL, `“${CONTROL}” is the name of the template's own words`),
  weight: weight.default(1),
  words: templateWords,
})

const start = z.lazy(() =>
  z.strictObject({
    /** The version whose words are compared: refused when somebody has saved another one since. */
    version: z.int().min(1),
    controlWeight: weight.default(1),
    variants: z
      .array(variant)
      .min(1)
      .max(VARIANTS_MAX)
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "expected different names"),
  }),
)

const end = z.lazy(() =>
  z.strictObject({
    version: z.int().min(1),
    /** The variant whose words become the template's; null: its own stay. */
    promote: z.string().max(30).nullable().default(null),
  }),
)

export const experiments = new Hono<AppEnv>()
  .post("/", withPermission("templates:write"), validId(z.uuid()), validJson(start), async (c) => {
    const { version, controlWeight, variants } = c.req.valid("json")
    const { newId, now } = c.get("services")
    const latest = await latestOf(c, version)
    if (latest.experiment !== null) {
      throw new AppError("CONFLICT", "A comparison is under way. End it first.", { reason: "experiment_under_way" })
    }
    if (!latest.isInForce) {
      throw new AppError("CONFLICT", "The template is switched off. Save it again first.", {
        reason: "template_switched_off",
      })
    }
    for (const { name, words } of variants) {
      await requireUsable(c, latest, words, `The words of the variant “${name}”`)
    }
    const experiment = { id: newId(), startedAt: now().toISOString(), controlWeight, variants }
    const content = { words: latest.words, isInForce: true, experiment }
    return c.json(showTemplate(await saveVersion(c, { ...latest, version: version + 1 }, content)), 201)
  })
  .post("/end", withPermission("templates:write"), validId(z.uuid()), validJson(end), async (c) => {
    const { version, promote } = c.req.valid("json")
    const latest = await latestOf(c, version)
    const { experiment } = latest
    if (experiment === null) {
      throw new AppError("CONFLICT", "No comparison is under way.", { reason: "no_experiment" })
    }
    const promoted = experiment.variants.find(({ name }) => name === promote)
    if (promote !== null && promoted === undefined) {
      throw new AppError("MALFORMED", "The comparison has no variant of that name.")
    }
    const content = { words: promoted?.words ?? latest.words, isInForce: latest.isInForce, experiment: null }
    return c.json(showTemplate(await saveVersion(c, { ...latest, version: version + 1 }, content)))
  })
