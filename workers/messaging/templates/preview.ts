/** Previews of messages with a template and example data, and whether the text fits into short messages. */
import { EXAMPLE, exampleLinks } from "../../../shared/domain/messaging/example.ts"
import type { Look } from "../../../shared/domain/messaging/messages/look.ts"
import { type RenderedNudge, renderNudge } from "../../../shared/domain/messaging/messages.ts"
import type {
  TemplateFault,
  TemplatePlace,
  TemplateWords,
} from "../../../shared/domain/messaging/templates/templates.ts"
import { MEMBER_CHANNELS, type MemberChannel } from "../../../shared/domain/settings.ts"

/** The day of the playbook that stands for each stage. */
const DAY_OF_STAGE = { first: 0, reminder: 2, last: 4 } as const

/** What is said about the company in a preview. */
export interface PreviewCompany {
  readonly brandName: string
  readonly supportEmail: string | null
  /** Where links begin. */
  readonly appUrl: string
  readonly look: Look | null
}

/** One message as its channel shows it. */
export type Preview = Omit<RenderedNudge, "template"> & { readonly channel: MemberChannel }

/** A message of every channel that the template is for. */
export function previewsOf(
  place: TemplatePlace,
  words: TemplateWords,
  company: PreviewCompany,
  now: Date,
): readonly Preview[] {
  const channels = place.channel === null ? MEMBER_CHANNELS : [place.channel]
  return channels.flatMap((channel) => {
    const rendered = renderNudge({
      ...{ ...EXAMPLE, channel, caseKind: place.caseKind, ask: place.ask },
      ...{ step: DAY_OF_STAGE[place.stage ?? "first"], locale: place.language ?? "en", now: now.toISOString() },
      nextAttemptAt: inDays(now, 3),
      endsAt: place.caseKind === "cancellation" ? inDays(now, 14) : null,
      ...{ brandName: company.brandName, supportEmail: company.supportEmail, look: company.look },
      ...exampleLinks(company.appUrl),
      templates: [{ ...place, id: "preview", version: 1, words }],
    })
    if (rendered === null) return []
    const { subject, text, html } = rendered
    return [{ channel, subject, text, html }]
  })
}

const DAY_MS = 86_400_000
const inDays = (now: Date, days: number): string => new Date(now.getTime() + days * DAY_MS).toISOString()

/** The faults that show only in a message: a text message that drops the company's words, because they do not fit. */
export function roomFaults(words: TemplateWords, previews: readonly Preview[]): readonly TemplateFault[] {
  const sms = previews.find(({ channel }) => channel === "sms")
  const firstWords =
    /^[^{}'#]+/
      .exec(words.short ?? "")?.[0]
      .trim()
      .slice(0, 20) ?? ""
  if (sms === undefined || firstWords === "" || sms.text.includes(firstWords)) return []
  return [{ part: "short", reason: "it does not fit into two text messages with its link" }]
}
