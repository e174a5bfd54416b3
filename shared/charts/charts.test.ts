import { expect, test } from "vitest"
import { heatMap } from "./heat-map.ts"
import { lineChart } from "./line.ts"
import { signedBars } from "./signed-bars.ts"
import { waterfallChart } from "./waterfall.ts"

const TEXT = { id: "chart", title: "Title", description: "A sentence." }

/** Position and width of the bars, in the order in which they are drawn. */
const barsOf = (markup: string) =>
  [...markup.matchAll(/<rect class="bar (\w+)" x="([\d.]+)" y="\d+" width="([\d.]+)"/g)].map(([, tone, x, width]) => ({
    tone,
    from: Number(x),
    to: Math.round((Number(x) + Number(width)) * 10) / 10,
  }))

test("each step of a waterfall begins where the one before it ended, and the last ends at the axis", () => {
  const markup = String(
    waterfallChart(
      TEXT,
      { label: "At stake", amount: 1_000 },
      [
        { label: "Came back", amount: 600, tone: "good" },
        { label: "Lost", amount: 300, tone: "bad" },
        { label: "Open", amount: 100, tone: "plain" },
      ],
      { amount: (value) => `${value} USD`, share: (share) => `${share}` },
    ),
  )
  const [whole, good, bad, plain] = barsOf(markup)
  expect([whole?.tone, good?.tone, bad?.tone, plain?.tone]).toEqual(["soft", "good", "bad", "plain"])
  expect(good?.to).toBe(whole?.to)
  expect(bad?.to).toBe(good?.from)
  expect(plain?.to).toBe(bad?.from)
  expect(plain?.from).toBe(whole?.from)
  expect(markup).toContain("<td>300 USD</td><td>0.3</td>")
})

test("a waterfall of nothing has no share and no bar below the axis", () => {
  const markup = String(
    waterfallChart(TEXT, { label: "At stake", amount: 0 }, [{ label: "Lost", amount: -5, tone: "bad" }], {
      amount: String,
      share: String,
    }),
  )
  expect(markup).toContain("<td>null</td>")
  expect(barsOf(markup).every(({ from, to }) => from === barsOf(markup)[0]?.from && to - from === 1)).toBe(true)
})

test("a heat map has a level for each share, and says the same in text and in its table", () => {
  const shares = [null, 0, 0.2, 0.5, 0.79, 1]
  const cells = shares.map((share) => ({ share, text: share === null ? "–" : String(share) }))
  const columns = shares.map((_, column) => `c${column}`)
  const markup = String(heatMap(TEXT, columns, [{ label: "Mon", cells }]))
  expect([...markup.matchAll(/class="heat (\S+)"/g)].map(([, level]) => level)).toEqual([
    ...["heat-none", "heat-0", "heat-1", "heat-2", "heat-3", "heat-4"],
  ])
  expect(markup).toContain('role="img" aria-labelledby="chart-title chart-description"')
  expect(markup).toContain("<td>Mon</td><td>–</td><td>0</td>")
})

test("a line goes below zero where its values do, and a reference is drawn beside it", () => {
  const words = { time: String, value: String, head: ["Feature", "Effect"] as const }
  const points = [
    { at: 0, value: -1 },
    { at: 1, value: 1 },
  ]
  const markup = String(
    lineChart(TEXT, points, words, [
      { at: 0, value: 0 },
      { at: 1, value: 0 },
    ]),
  )
  const [, ys = ""] = /class="line" d="M92,([\d.]+)/.exec(markup) ?? []
  const zero = /y1="([\d.]+)"[^>]*\/>\n<text[^>]*>0<\/text>/.exec(markup)?.[1] ?? ""
  expect(Number(ys)).toBeGreaterThan(Number(zero))
  expect(Number(ys)).toBeLessThanOrEqual(172)
  expect(markup).toContain('class="reference"')
  expect(markup).toContain('<th scope="col">Feature</th><th scope="col">Effect</th>')
})

test("bars of values on both sides of zero meet at zero", () => {
  const markup = String(
    signedBars(
      TEXT,
      [
        { label: "more", value: 2 },
        { label: "less", value: -1 },
      ],
      { head: ["Level", "Effect"], value: String },
    ),
  )
  const [more, less] = barsOf(markup)
  expect([more?.tone, less?.tone]).toEqual(["plain", "bad"])
  expect(less?.to).toBe(more?.from)
})
