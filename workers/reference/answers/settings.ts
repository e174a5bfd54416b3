/** Answers about a company's settings, brand and templates. */
import * as z from "zod"
import { LOGO_TYPES } from "../../../shared/domain/messaging/messages/logo.ts"
import { settingsSchema } from "../../operations/settings-schema.ts"
import { caseKind, channel, count, type Described, instant, listOf, ok } from "./common.ts"

const brand = z.strictObject({
  brandName: z.string().nullable().describe("The name that the company chose"),
  shownName: z.string().nullable().describe("The name in its messages"),
  isWaiting: z.boolean().describe("The chosen name waits for an operator's approval"),
  approved: z.array(z.string()),
  decisions: z.array(
    z.strictObject({
      name: z.string(),
      isApproved: z.boolean(),
      at: instant,
      who: z.string().optional().describe("For operators only"),
      why: z.string().nullable().optional().describe("For operators only"),
    }),
  ),
})

const weights = z
  .strictObject({
    payment: z.number(),
    usage: z.number(),
    support: z.number(),
    relationship: z.number(),
    tenure: z.number(),
  })
  .meta({ id: "Weights" })

const templateWords = z
  .record(z.string(), z.string())
  .describe("Own words by part; a part that is left out is written as shipped")

const experiment = z
  .strictObject({
    id: z.string(),
    startedAt: instant,
    controlWeight: z.int(),
    variants: z.array(z.strictObject({ name: z.string(), weight: z.int(), words: templateWords })),
  })
  .meta({ id: "Experiment" })

const fault = z.strictObject({ part: z.string(), reason: z.string() })

const savedFields = {
  version: z.int(),
  words: templateWords,
  isInForce: z.boolean(),
  experiment: experiment.nullable().describe("The comparison with variants that begins with this version"),
  savedAt: instant,
  savedBy: z.string(),
}

const templateFields = {
  id: z.string(),
  companyId: z.string(),
  caseKind,
  stage: z.string().nullable().describe("Null: all stages; so are the next three"),
  ask: z.string().nullable(),
  channel: channel.nullable(),
  language: z.string().nullable(),
  ...savedFields,
}

const template = z.strictObject(templateFields).meta({ id: "Template" })

const previewed = z.strictObject({
  faults: z.array(fault),
  previews: z.array(z.strictObject({ channel, subject: z.string(), text: z.string(), html: z.string().nullable() })),
})

const logo = z.strictObject({
  id: z.string().describe("The SHA-256 of the image"),
  type: z.enum(LOGO_TYPES),
  width: z.int(),
  height: z.int(),
  path: z.string().describe("Where it is served, without a key"),
})

const readableColour = z.strictObject({
  colour: z.string(),
  contrast: z.number().describe("The ratio to its background (WCAG 2.2), at least 4.5"),
})

const branding = z
  .strictObject({
    companyId: z.string(),
    version: z.int().describe("0: none was saved"),
    shownVersion: z.int().nullable().describe("The version that members see; null: none"),
    isWaiting: z.boolean().describe("The newest version waits for an operator's approval"),
    logo: logo.nullable(),
    accent: z.string().nullable(),
    signature: z.string().nullable(),
    replyTo: z.string().nullable(),
    postalAddress: z.string().nullable(),
    colours: z.strictObject({
      button: z.string(),
      buttonText: readableColour,
      onLight: readableColour,
      onDark: readableColour,
    }),
    savedAt: instant.nullable(),
    savedBy: z.string().nullable(),
  })
  .meta({ id: "Branding" })

const brandingPreview = z.strictObject({
  email: z.strictObject({ subject: z.string(), text: z.string(), html: z.string().nullable() }),
  page: z.strictObject({ html: z.string() }),
})

export const SETTINGS = {
  "GET /api/templates": { summary: "The company's own words for its messages", answers: ok(listOf(template)) },
  "POST /api/templates": { summary: "Adds a template", answers: { 201: { schema: template } } },
  "POST /api/templates/preview": {
    summary: "The faults of words, and how messages look with example data",
    answers: ok(previewed),
  },
  "POST /api/templates/suggest": {
    summary: "A text model's draft for words; nothing is saved or sent",
    answers: ok(
      z.strictObject({
        words: templateWords,
        faults: z.array(fault).describe("Of the parts that the draft lacks, because a template would not accept them"),
        model: z.string(),
      }),
    ),
  },
  "POST /api/templates/:id/experiment": {
    summary: "Starts a comparison of the template's words with variants",
    answers: { 201: { schema: template } },
  },
  "POST /api/templates/:id/experiment/end": {
    summary: "Ends the comparison; a variant's words may become the template's",
    answers: ok(template),
  },
  "GET /api/templates/:id": {
    summary: "One template with all its versions",
    answers: ok(z.strictObject({ ...templateFields, versions: z.array(z.strictObject(savedFields)) })),
  },
  "PUT /api/templates/:id": { summary: "Saves a new version, or switches the template off", answers: ok(template) },
  "GET /api/branding": { summary: "How the company's e-mails and members' pages look", answers: ok(branding) },
  "PUT /api/branding": { summary: "Saves a new version of the branding", answers: ok(branding) },
  "PUT /api/branding/approval": {
    summary: "Approves the newest version for messages from the deployment's sender, as a version of its own",
    answers: ok(branding),
  },
  "POST /api/branding/logos": {
    summary: "Stores a logo, which a branding may name",
    answers: { 201: { schema: logo } },
  },
  "POST /api/branding/preview": {
    summary: "An e-mail and a member's page in this look, with example data; their logo has a path only",
    answers: ok(brandingPreview),
  },
  "GET /api/settings": { summary: "The settings in effect", answers: ok(settingsSchema) },
  "PUT /api/settings": { summary: "Replaces the settings", answers: ok(settingsSchema) },
  "GET /api/settings/brand": { summary: "The brand name in messages, and decisions on it", answers: ok(brand) },
  "PUT /api/settings/brand/approval": {
    summary: "Approves exactly this brand name for messages from the deployment's sender, or revokes it",
    answers: ok(brand),
  },
  "GET /api/settings/health-weights": {
    summary: "How the weights of the health components change the model's accuracy",
    answers: ok(
      z.strictObject({
        weights,
        saved: weights,
        model: weights,
        rows: count,
        events: count,
        auc: z
          .strictObject({
            model: z.number(),
            weighted: z.number(),
            difference: z.number(),
            standardError: z.number().nullable(),
          })
          .nullable(),
        logLoss: z.strictObject({ model: z.number(), weighted: z.number() }).nullable(),
        isReliable: z.boolean(),
        because: z.string().nullable(),
        from: instant.nullable(),
        to: instant.nullable(),
      }),
    ),
  },
} as const satisfies Readonly<Record<string, Described>>
