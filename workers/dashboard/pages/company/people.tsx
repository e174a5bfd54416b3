/** People and API keys of a company: who may do what, and who signed in. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { exportOf } from "../../export.ts"
import { act, type DashboardContext, type DashboardEnv, formOf, frameOf, show } from "../../page.tsx"
import { inWords } from "../../parts/cases.tsx"
import { Badge, ExportLink, Heading, Panel, PostForm, Table, Time } from "../../parts/parts.tsx"
import type { Viewer } from "../../viewer.ts"

const PATH = "/dashboard/people"
const ROLES = ["success-analyst", "success-manager", "admin"]

export const people = new Hono<DashboardEnv>()
  .get("/", (c) => showPeople(c, null))
  .get("/export", (c) => exportOf(c, "people", () => c.get("ask")("GET /api/people"), PERSON_COLUMNS))
  .get("/keys/export", (c) => exportOf(c, "keys", () => c.get("ask")("GET /api/keys"), KEY_COLUMNS))
  .get("/sign-ins/export", (c) =>
    exportOf(c, "sign-ins", (query) => c.get("ask")("GET /api/sign-ins", { query }), SIGN_IN_COLUMNS),
  )
  .post("/", async (c) => {
    const { email, role } = await formOf(c)
    return act(c, PATH, async () => {
      await c.get("ask")("POST /api/people", { body: { email, role } })
      return "invited"
    })
  })
  .post("/:id/role", async (c) => {
    const { role } = await formOf(c)
    return act(c, PATH, async () => {
      await c.get("ask")("PUT /api/people/:id", { params: c.req.param(), body: { role } })
      return "saved"
    })
  })
  .post("/:id/remove", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("DELETE /api/people/:id", { params: c.req.param() })
      return "removed"
    }),
  )
  // A new key is in the answer itself and nowhere else: it is shown once.
  .post("/keys", async (c) => {
    const { name, role, expiresAt = "" } = await formOf(c)
    const made = await c.get("ask")("POST /api/keys", {
      body: { name, role, expiresAt: expiresAt === "" ? null : `${expiresAt}T00:00:00Z` },
    })
    return showPeople(c, made)
  })
  .post("/keys/:id/rotate", async (c) => {
    const made = await c.get("ask")("POST /api/keys/:id/rotate", { params: c.req.param(), body: {} })
    return showPeople(c, made)
  })
  .post("/keys/:id/revoke", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("DELETE /api/keys/:id", { params: c.req.param() })
      return "revoked"
    }),
  )

const PERSON_COLUMNS = ["id", "email", "role", "createdAt", "invitedBy", "lastSignInAt", "removedAt"] as const

const KEY_COLUMNS = [
  ...(["id", "name", "role", "prefix", "isValid", "createdAt", "createdBy"] as const),
  ...(["expiresAt", "revokedAt", "lastUsedAt"] as const),
]

const SIGN_IN_COLUMNS = ["id", "at", "kind", "via", "who", "reason"] as const

type NewKey = AnswerOf<"POST /api/keys">
type Key = AnswerOf<"GET /api/keys">["data"][number]
type Person = AnswerOf<"GET /api/people">["data"][number]
type SignIn = AnswerOf<"GET /api/sign-ins">["data"][number]

async function showPeople(c: DashboardContext, made: NewKey | null): Promise<Response> {
  const ask = c.get("ask")
  const [persons, keys, signIns] = await Promise.all([
    ask("GET /api/people"),
    ask("GET /api/keys"),
    ask("GET /api/sign-ins", { query: { limit: 20 } }),
  ])
  const data = { persons: persons.data, keys: keys.data, signIns: signIns.data }
  return show(c, "People and keys", PATH, <PeoplePage {...frameOf(c)} {...data} made={made} />)
}

const PeoplePage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly persons: readonly Person[]
  readonly keys: readonly Key[]
  readonly signIns: readonly SignIn[]
  readonly made: NewKey | null
}> = ({ viewer, now, persons, keys, signIns, made }) => {
  const canInvite = viewer.can("people:write")
  const canMakeKeys = viewer.can("keys:write")
  return (
    <>
      <Heading
        title="People and keys"
        lead="An analyst reads without names and addresses; a manager also writes to members; an admin changes settings."
      />
      {made !== null && (
        <div class="notice done" role="status">
          <p>The key “{made.name}”. Copy it now: it is not shown again.</p>
          <p>
            <code>{made.key}</code>
          </p>
        </div>
      )}
      <Panel title="People">
        <p>
          <ExportLink path={PATH} what="people" />
        </p>
        <Table
          caption="People"
          rows={persons}
          empty="No people have been invited."
          columns={[
            { title: "Address", cell: ({ email }) => email ?? "removed" },
            {
              title: "Role",
              cell: (one) => (canInvite && one.removedAt === null ? <RoleForm person={one} /> : one.role),
            },
            { title: "Last sign-in", cell: ({ lastSignInAt }) => <Time viewer={viewer} at={lastSignInAt} now={now} /> },
            {
              title: "Act",
              cell: ({ id, removedAt }) =>
                canInvite && removedAt === null ? (
                  <details>
                    <summary>Remove</summary>
                    <PostForm action={`${PATH}/${id}/remove`}>
                      <button class="danger" type="submit">
                        Remove and end all sessions
                      </button>
                    </PostForm>
                  </details>
                ) : (
                  "–"
                ),
            },
          ]}
        />
        {canInvite && (
          <PostForm class="filters">
            <label>
              E-mail address
              <input type="email" name="email" required />
            </label>
            <RoleChoice />
            <button type="submit">Invite</button>
          </PostForm>
        )}
      </Panel>
      <Panel title="API keys">
        <p>
          <ExportLink path={`${PATH}/keys`} what="keys" />
        </p>
        <Table
          caption="API keys"
          rows={keys}
          empty="There is no key."
          columns={[
            { title: "Name", cell: ({ name }) => name },
            { title: "Begins with", cell: ({ prefix }) => <code>{prefix ?? "–"}</code> },
            { title: "Role", cell: ({ role }) => role },
            {
              title: "State",
              cell: ({ isValid }) => <Badge tone={isValid ? "good" : "plain"}>{isValid ? "valid" : "ended"}</Badge>,
            },
            { title: "Last used", cell: ({ lastUsedAt }) => <Time viewer={viewer} at={lastUsedAt} now={now} /> },
            { title: "Ends", cell: ({ expiresAt }) => <Time viewer={viewer} at={expiresAt} /> },
            {
              title: "Act",
              cell: ({ id, isValid }) =>
                canMakeKeys && isValid ? (
                  <div class="actions">
                    <PostForm action={`${PATH}/keys/${id}/rotate`}>
                      <button class="quiet" type="submit">
                        Rotate
                      </button>
                    </PostForm>
                    <details>
                      <summary>Revoke</summary>
                      <PostForm action={`${PATH}/keys/${id}/revoke`}>
                        <button class="danger" type="submit">
                          Revoke at once
                        </button>
                      </PostForm>
                    </details>
                  </div>
                ) : (
                  "–"
                ),
            },
          ]}
        />
        {canMakeKeys && (
          <PostForm class="filters" action={`${PATH}/keys`}>
            <label>
              Name
              <input name="name" required maxlength={80} />
            </label>
            <RoleChoice />
            <label>
              Ends on
              <input type="date" name="expiresAt" />
            </label>
            <button type="submit">Make a key</button>
          </PostForm>
        )}
      </Panel>
      <Panel title="Sign-ins" note="The latest 20.">
        <p>
          <ExportLink path={`${PATH}/sign-ins`} what="sign-ins" />
        </p>
        <Table
          caption="Sign-ins"
          rows={signIns}
          empty="No sign-ins yet."
          columns={[
            { title: "When", cell: ({ at }) => <Time viewer={viewer} at={at} now={now} /> },
            { title: "What", cell: ({ kind }) => inWords(kind) },
            { title: "How", cell: ({ via }) => via },
            { title: "Who", cell: ({ who }) => who ?? "–" },
            { title: "Why", cell: ({ reason }) => inWords(reason) },
          ]}
        />
      </Panel>
    </>
  )
}

const RoleChoice: FC<{ readonly role?: string }> = ({ role }) => (
  <label>
    Role
    <select name="role">
      {ROLES.map((one) => (
        <option value={one} selected={one === role}>
          {one}
        </option>
      ))}
    </select>
  </label>
)

const RoleForm: FC<{ readonly person: Person }> = ({ person: { id, email, role } }) => (
  <PostForm class="filters" action={`${PATH}/${id}/role`}>
    <select name="role" aria-label={`Role of ${email ?? id}`}>
      {ROLES.map((one) => (
        <option value={one} selected={one === role}>
          {one}
        </option>
      ))}
    </select>
    <button class="quiet" type="submit">
      Set
    </button>
  </PostForm>
)
