import { describe, expect, test } from "vitest"
import { renderTeamAlert } from "./team-alert.ts"

describe("a team alert", () => {
  test("escapes what Slack would read as mark-up and links once", () => {
    const { subject, text } = renderTeamAlert({
      severity: "P1",
      state: "firing",
      title: "Errors > 10 % <!channel>\r\n& more",
      lines: ["case <https://evil.example|x>", "count 5"],
      link: "https://ops.example.com/alerts/1?a=1&b=|2",
    })
    expect(subject).toBe("[P1] Errors > 10 % <!channel> & more")
    expect(text).toBe(
      "[P1] Errors &gt; 10 % &lt;!channel&gt; &amp; more\n• case &lt;https://evil.example|x&gt;\n• count 5\n<https://ops.example.com/alerts/1?a=1&amp;b=%7C2|Open>",
    )
  })

  test("has a line for each line, and no more without a link", () => {
    const alert = { severity: "P0", state: "firing", title: "Down", lines: ["a", "b"], link: null } as const
    expect(renderTeamAlert(alert).text).toBe("[P0] Down\n• a\n• b")
  })

  test("stays within one Slack message and states when it is resolved", () => {
    const { subject, text } = renderTeamAlert({
      severity: "P3",
      state: "resolved",
      title: "A".repeat(9_999),
      lines: Array.from({ length: 99 }, () => "B".repeat(9_999)),
      link: null,
    })
    expect(subject.startsWith("[P3] Resolved: AAA")).toBe(true)
    expect(text.length).toBeLessThan(4_000)
  })
})
