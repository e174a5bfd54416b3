/** Switches and feature flags: what is on, for whom, and who changed it last. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { act, type DashboardEnv, formOf, frameOf, numberIn, show } from "../../page.tsx"
import { Badge, Heading, Panel, PostForm, Table, Time } from "../../parts/parts.tsx"
import { number, type Viewer } from "../../viewer.ts"

const PATH = "/dashboard/flags"

export const flags = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const { data } = await c.get("ask")("GET /api/flags")
    return show(c, "Flags and switches", PATH, <FlagsPage {...frameOf(c)} flags={data} />)
  })
  .get("/:name", async (c) => {
    const params = c.req.param()
    const [flag, changes] = await Promise.all([
      c.get("ask")("GET /api/flags/:name", { params }),
      c.get("ask")("GET /api/flags/:name/changes", { params, query: { limit: 20 } }),
    ])
    return show(c, flag.name, PATH, <FlagPage {...frameOf(c)} flag={flag} changes={changes.data} />)
  })
  .post("/:name", async (c) => {
    const form = await formOf(c)
    return act(c, `${PATH}/${c.req.param("name")}`, async () => {
      await c.get("ask")("PUT /api/flags/:name", {
        params: c.req.param(),
        body: {
          enabled: form.enabled === "yes",
          percentage: numberIn(form.percentage),
          allow: idsIn(form.allow),
          deny: idsIn(form.deny),
          reason: form.reason ?? null,
          ...(form.replaces !== undefined && { replaces: form.replaces === "" ? null : form.replaces }),
        },
      })
      return "set"
    })
  })

const idsIn = (text = ""): readonly string[] => text.split(/[\s,]+/).filter((id) => id !== "")

type Flag = AnswerOf<"GET /api/flags">["data"][number]

const FlagsPage: FC<{ readonly viewer: Viewer; readonly now: Date; readonly flags: readonly Flag[] }> = ({
  viewer,
  now,
  flags: shown,
}) => (
  <>
    <Heading
      title="Flags and switches"
      lead="A switch stops effects at once and without a deploy; events are accepted and stored in any case."
    />
    <Table
      caption="Flags"
      rows={shown}
      empty="There are no flags."
      columns={[
        { title: "Flag", cell: ({ name }) => <a href={`${PATH}/${name}`}>{name}</a> },
        {
          title: "For this company",
          cell: ({ isOn }) => <Badge tone={isOn ? "good" : "plain"}>{isOn ? "on" : "off"}</Badge>,
        },
        {
          title: "For all",
          cell: ({ enabled, percentage }) => (enabled ? `${number(viewer, percentage)} %` : "off"),
        },
        { title: "Exceptions", cell: ({ allow, deny }) => exceptionsOf(allow, deny) },
        { title: "Changed", cell: ({ updatedAt }) => <Time viewer={viewer} at={updatedAt} now={now} /> },
        { title: "By", cell: ({ updatedBy, isDefault }) => updatedBy ?? (isDefault ? "default" : "–") },
      ]}
    />
  </>
)

const exceptionsOf = (allow: readonly string[], deny: readonly string[]): string =>
  [...allow.map((id) => `on: ${id}`), ...deny.map((id) => `off: ${id}`)].join(", ") || "–"

const FlagPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly flag: Flag
  readonly changes: AnswerOf<"GET /api/flags/:name/changes">["data"]
}> = ({ viewer, now, flag, changes }) => (
  <>
    <Heading
      title={flag.name}
      lead={
        <>
          <Badge tone={flag.isOn ? "good" : "plain"}>{flag.isOn ? "on" : "off"}</Badge> for this company
        </>
      }
    />
    {viewer.can("flags:write") && (
      <Panel title="Change" note="Takes effect everywhere within ten seconds, and is recorded with your name.">
        <PostForm class="stack">
          <input type="hidden" name="replaces" value={flag.updatedAt ?? ""} />
          <label class="inline">
            <input type="checkbox" name="enabled" value="yes" checked={flag.enabled} /> On
          </label>
          <label>
            Share of companies, in percent
            <input
              type="number"
              name="percentage"
              min="0"
              max="100"
              step="0.01"
              required
              value={String(flag.percentage)}
            />
          </label>
          <label>
            Always on for (company ids)
            <input name="allow" value={flag.allow.join(", ")} />
          </label>
          <label>
            Always off for (company ids)
            <input name="deny" value={flag.deny.join(", ")} />
          </label>
          <label>
            Why
            <input name="reason" maxlength={200} />
          </label>
          <div>
            <button type="submit">Set</button>
          </div>
        </PostForm>
      </Panel>
    )}
    <Panel title="Changes">
      <Table
        caption="Changes"
        rows={changes}
        empty="It has its default."
        columns={[
          { title: "When", cell: ({ at }) => <Time viewer={viewer} at={at} now={now} /> },
          { title: "Who", cell: ({ who }) => who ?? "–" },
          {
            title: "To",
            cell: ({ after }) => (after.enabled ? `on for ${number(viewer, after.percentage)} %` : "off"),
          },
          { title: "Why", cell: ({ why }) => why ?? "–" },
        ]}
      />
    </Panel>
  </>
)
