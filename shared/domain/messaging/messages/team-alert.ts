/** Alerts to the team in Slack. */
import { oneLine, webLink } from "./clean.ts"

/** An alert that fires or is resolved. Lines have ids, numbers and reasons, never text of a member. */
export interface TeamAlertInput {
  readonly severity: "P0" | "P1" | "P2" | "P3"
  readonly state: "firing" | "resolved"
  readonly title: string
  readonly lines: readonly string[]
  readonly link: string | null
}

const TITLE_MAX = 150
const LINE_MAX = 300
/** Slack truncates a text near 4 000 characters (docs.slack.dev, chat.postMessage); ours is well below. */
const LINES_MAX = 10

/** docs.slack.dev/messaging/formatting-message-text: these three are escaped, which also disables `<!channel>`. */
const escapeMrkdwn = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** An alert in Slack's mark-up, with at most one link. */
export function renderTeamAlert(input: TeamAlertInput): { subject: string; text: string; html: null } {
  const subject = `[${input.severity}] ${input.state === "resolved" ? "Resolved: " : ""}${oneLine(input.title, TITLE_MAX)}`
  const lines = input.lines.slice(0, LINES_MAX).map((line) => `• ${escapeMrkdwn(oneLine(line, LINE_MAX))}`)
  const link = input.link === null ? [] : [`<${escapeMrkdwn(webLink(input.link)).replaceAll("|", "%7C")}|Open>`]
  return { subject, text: [escapeMrkdwn(subject), ...lines, ...link].join("\n"), html: null }
}
