/**
 * Variants of a template: other words for the same messages, compared with the template's own. Which words a case gets is
 * drawn once, just before its first message with that template, and the assignment is a fact. Until then all cases were
 * treated alike, so cases are compared as assigned, whatever was sent (intention to treat). A comparison never changes: other
 * words or weights are another comparison, and only cases that open after its start take part, so that no case takes part in
 * two comparisons of one template. A held-out case has no variant.
 */
import type { Fact, Instant } from "../../facts.ts"
import { BUCKETS, bucketOfKey } from "../../flags.ts"
import { type CaseState, type CustomerState, isHeldOut } from "../../state.ts"
import type { Experiment, Template } from "./templates.ts"

/** The name of the template's own words in a comparison. */
export const CONTROL = "control"

/** More variants need more cases than most companies have. */
export const VARIANTS_MAX = 3

export const WEIGHT_MAX = 100

/** All words of a comparison by name and weight, the template's own first. */
export const armsOf = ({
  controlWeight,
  variants,
}: Experiment): readonly { readonly name: string; readonly weight: number }[] => [
  { name: CONTROL, weight: controlWeight },
  ...variants,
]

/** The variant of a case. Depends only on company, case and comparison, so that a repeated draw gives the same. */
export function variantFor(companyId: string, caseId: string, experiment: Experiment): string {
  const arms = armsOf(experiment)
  const total = arms.reduce((sum, { weight }) => sum + weight, 0)
  const drawn = bucketOfKey(`variant:${experiment.id}:${companyId}:${caseId}`) * total
  let upTo = 0
  for (const { name, weight } of arms) {
    upTo += weight * BUCKETS
    if (drawn < upTo) return name
  }
  return CONTROL
}

/** The variant that a case was assigned to; undefined: it does not take part. */
export const variantOf = (
  { outreach }: Pick<CustomerState, "outreach">,
  caseId: string,
  experimentId: string,
): string | undefined =>
  outreach.variants?.find((one) => one.caseId === caseId && one.experimentId === experimentId)?.variant

type Assigned = Extract<Fact, { kind: "variant_assigned" }>

/**
 * The assignment that is missing before a message with this template is sent; null: the case has one, or does not take part
 * (held out, or opened before the start of the comparison).
 */
export function assignVariant(
  state: CustomerState,
  { id: caseId, openedAt }: CaseState,
  template: Template,
  { companyId, now }: { readonly companyId: string; readonly now: Instant },
): Assigned | null {
  const experiment = template.experiment ?? null
  if (experiment === null || openedAt < experiment.startedAt) return null
  if (isHeldOut(state, caseId) || variantOf(state, caseId, experiment.id) !== undefined) return null
  return {
    kind: "variant_assigned",
    id: `variant_assigned:${experiment.id}:${caseId}`,
    occurredAt: now,
    ...{ caseId, templateId: template.id, experimentId: experiment.id },
    variant: variantFor(companyId, caseId, experiment),
  }
}

/** The template with the words that the case was assigned to. */
export function asAssigned(template: Template, state: CustomerState, caseId: string): Template {
  const { experiment } = template
  const name = experiment ? variantOf(state, caseId, experiment.id) : undefined
  if (name === undefined) return template
  const words = experiment?.variants.find((variant) => variant.name === name)?.words ?? template.words
  return { ...template, words, variant: name }
}
