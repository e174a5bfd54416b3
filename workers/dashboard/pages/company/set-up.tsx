/** The checklist of a company's set-up, its webhook signing secrets, and a test message. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { act, type DashboardEnv, formOf, frameOf, numberIn, show } from "../../page.tsx"
import { inWords } from "../../parts/cases.tsx"
import { Badge, Heading, Panel, PostForm, ProviderField, Table, Time } from "../../parts/parts.tsx"
import type { Viewer } from "../../viewer.ts"

export const SET_UP = "/dashboard/set-up"

export const setUp = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const viewer = c.get("viewer")
    const params = { id: viewer.principal.companyId }
    const [checklist, secrets] = await Promise.all([
      c.get("ask")("GET /api/companies/:id/onboarding", { params }),
      viewer.can("secrets:read") ? c.get("ask")("GET /api/secrets/webhooks") : null,
    ])
    const page = <SetUpPage {...frameOf(c)} checklist={checklist} secrets={secrets?.data ?? null} />
    return show(c, "Set-up", SET_UP, page)
  })
  .post("/test-message", async (c) => {
    const params = { id: c.get("viewer").principal.companyId }
    return act(c, SET_UP, async () => {
      await c.get("ask")("POST /api/companies/:id/test-message", { params, body: {} })
      return "testSent"
    })
  })
  .post("/secrets", async (c) => {
    const { provider, secret, overlapHours } = await formOf(c)
    return act(c, SET_UP, async () => {
      const hours = numberIn(overlapHours)
      await c.get("ask")("POST /api/secrets/webhooks", {
        body: { provider, secret, ...(hours !== null && { overlapHours: hours }) },
      })
      return "secretAdded"
    })
  })
  .post("/secrets/:id/end", async (c) => {
    const { force } = await formOf(c)
    return act(c, SET_UP, async () => {
      const body = { force: force === "yes" }
      await c.get("ask")("DELETE /api/secrets/webhooks/:id", { params: c.req.param(), body })
      return "secretEnded"
    })
  })

type Secret = AnswerOf<"GET /api/secrets/webhooks">["data"][number]

const SetUpPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly checklist: AnswerOf<"GET /api/companies/:id/onboarding">
  /** Null: the viewer may not see them. */
  readonly secrets: readonly Secret[] | null
}> = ({ viewer, now, checklist, secrets }) => (
  <>
    <Heading
      title="Set-up"
      lead={checklist.isDone ? "Everything is set up." : "What is left before members get their first message."}
    />
    <Table
      caption="Checklist"
      rows={checklist.items}
      empty="There is nothing to do."
      columns={[
        { title: "Step", cell: ({ item }) => inWords(item) },
        {
          title: "State",
          cell: ({ isDone }) => <Badge tone={isDone ? "good" : "warn"}>{isDone ? "done" : "to do"}</Badge>,
        },
        { title: "How", cell: ({ how }) => how },
        { title: "When", cell: ({ at }) => <Time viewer={viewer} at={at} /> },
      ]}
    />
    {secrets !== null && <SecretsPanel viewer={viewer} now={now} secrets={secrets} />}
    {viewer.can("people:write") && (
      <Panel title="Test message" note="The first message, with example data, sent to your own address.">
        <PostForm action={`${SET_UP}/test-message`}>
          <button type="submit">Send it to me</button>
        </PostForm>
      </Panel>
    )}
  </>
)

const SecretsPanel: FC<{ readonly viewer: Viewer; readonly now: Date; readonly secrets: readonly Secret[] }> = ({
  viewer,
  now,
  secrets,
}) => {
  const { companyId } = viewer.principal
  const canWrite = viewer.can("secrets:write")
  return (
    <Panel
      title="Webhook signing secrets"
      note={
        <>
          For webhooks that the company's own account sends to <code>/api/webhooks/stripe/{companyId}</code> or{" "}
          <code>/api/webhooks/whop/{companyId}</code>. A secret is stored sealed, and is not shown again.
        </>
      }
    >
      <Table
        caption="Webhook signing secrets"
        rows={secrets}
        empty="There is none. The deployment's own secrets are used."
        columns={[
          { title: "Provider", cell: ({ provider }) => provider },
          { title: "Fingerprint", cell: ({ fingerprint }) => <code>{fingerprint ?? "–"}</code> },
          {
            title: "State",
            cell: ({ isActive }) => <Badge tone={isActive ? "good" : "plain"}>{isActive ? "valid" : "ended"}</Badge>,
          },
          { title: "Added", cell: ({ createdAt }) => <Time viewer={viewer} at={createdAt} now={now} /> },
          { title: "Ends", cell: ({ expiresAt }) => <Time viewer={viewer} at={expiresAt} /> },
          {
            title: "Act",
            cell: (secret) => (canWrite && secret.isActive ? <EndForm secret={secret} all={secrets} /> : "–"),
          },
        ]}
      />
      {canWrite && (
        <details>
          <summary>Add a secret</summary>
          <PostForm class="stack" action={`${SET_UP}/secrets`}>
            <p class="note">Add the new secret here before it is used at the provider: then no webhook is refused.</p>
            <ProviderField />
            <label>
              Secret (whsec_…, ws_…)
              <input type="password" name="secret" autocomplete="off" required minlength={16} maxlength={512} />
            </label>
            <label>
              Hours for which the provider's earlier secrets stay valid
              <input type="number" name="overlapHours" value="24" min="0" max="168" required />
            </label>
            <div>
              <button type="submit">Add the secret</button>
            </div>
          </PostForm>
        </details>
      )}
    </Panel>
  )
}

const EndForm: FC<{ readonly secret: Secret; readonly all: readonly Secret[] }> = ({ secret, all }) => {
  const isLast = !all.some(({ id, provider, isActive }) => id !== secret.id && provider === secret.provider && isActive)
  return (
    <details>
      <summary>End</summary>
      <PostForm class="stack" action={`${SET_UP}/secrets/${secret.id}/end`}>
        {isLast && (
          <p class="note">This is the provider's last secret. Without it, the deployment's own secrets are used.</p>
        )}
        {isLast && <input type="hidden" name="force" value="yes" />}
        <div>
          <button class="danger" type="submit">
            End at once
          </button>
        </div>
      </PostForm>
    </details>
  )
}
