/** The company's own access to providers and channels: what is in use, and setting, checking and deleting each kind. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { type Credential, type CredentialKind, isSecretField } from "../../../../shared/credentials.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { act, type DashboardEnv, formOf, frameOf, show } from "../../page.tsx"
import { inWords } from "../../parts/cases.tsx"
import { Badge, Heading, Panel, PostForm, Time, type Tone } from "../../parts/parts.tsx"
import type { Viewer } from "../../viewer.ts"

const PATH = "/dashboard/credentials"

export const credentials = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const { data } = await c.get("ask")("GET /api/credentials")
    return show(c, "Credentials", PATH, <CredentialsPage {...frameOf(c)} credentials={data} />)
  })
  .post("/:kind", async (c) => {
    // A field that is left empty takes its default.
    const body = Object.fromEntries(Object.entries(await formOf(c)).filter(([, value]) => value.trim() !== ""))
    return act(c, PATH, async () => {
      await c.get("ask")("PUT /api/credentials/:kind", { params: c.req.param(), body })
      return "saved"
    })
  })
  .post("/:kind/check", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("POST /api/credentials/:kind/check", { params: c.req.param() })
      return "checked"
    }),
  )
  .post("/:kind/delete", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("DELETE /api/credentials/:kind", { params: c.req.param() })
      return "deleted"
    }),
  )

type CredentialAnswer = AnswerOf<"GET /api/credentials">["data"][number]

/** How a kind is presented; `use` says what it is for. */
interface KindForm<Field extends string> {
  readonly title: string
  readonly use: string
  /** The fields with their labels, in the order of the form. */
  readonly labels: Readonly<Record<Field, string>>
}

const KINDS: { readonly [Kind in CredentialKind]: KindForm<keyof Credential<Kind> & string> } = {
  stripe: {
    title: "Stripe",
    use: "Portal pages, incentives, look-ups and imports in the company's own account.",
    labels: { apiKey: "Secret or restricted key (sk_…, rk_…)" },
  },
  whop: {
    title: "Whop",
    use: "Look-ups, imports, direct messages and push notifications in the company's own account.",
    labels: {
      apiKey: "API key",
      accountId: "Company (biz_…)",
      experienceId: "Experience for push notifications (exp_…); empty: none are sent",
    },
  },
  sendgrid: {
    title: "SendGrid",
    use: "E-mails from the company's own sender.",
    labels: {
      apiKey: "API key (SG.…)",
      from: "Sender, as an address or Name <address>",
      replyTo: "Address for replies; empty: the sender",
    },
  },
  twilio: {
    title: "Twilio",
    use: "Text messages from the company's own number.",
    labels: {
      accountSid: "Account SID (AC…)",
      authToken: "Auth token",
      from: "Number (+…) or messaging service (MG…)",
    },
  },
  slack: {
    title: "Slack",
    use: "Messages to the company's own team.",
    labels: { webhookUrl: "Address of the incoming webhook" },
  },
  "link-domain": {
    title: "Link domain",
    use: "Links in messages lead to the company's own domain. Only an operator sets it.",
    labels: { domain: "Domain" },
  },
}

const OPTIONAL_FIELDS: ReadonlySet<string> = new Set(["experienceId", "replyTo"])

const SOURCES = {
  own: ["the company's own", "good"],
  deployment: ["the deployment's", "info"],
  none: ["none", "plain"],
} as const satisfies Readonly<Record<CredentialAnswer["source"], readonly [text: string, tone: Tone]>>

const CredentialsPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly credentials: readonly CredentialAnswer[]
}> = ({ viewer, now, credentials: all }) => (
  <>
    <Heading
      title="Credentials"
      lead="What the company uses at providers and channels. A key is stored sealed, and is not shown again."
    />
    {all.map((one) => (
      <CredentialPanel viewer={viewer} now={now} one={one} />
    ))}
  </>
)

const CredentialPanel: FC<{ readonly viewer: Viewer; readonly now: Date; readonly one: CredentialAnswer }> = ({
  viewer,
  now,
  one,
}) => {
  const { kind, source, shown } = one
  const { title, use, labels } = KINDS[kind]
  const [text, tone] = SOURCES[source]
  const isOwn = source === "own"
  const canWrite = viewer.can("secrets:write")
  return (
    <Panel title={title} note={use}>
      <dl class="facts">
        <dt>In use</dt>
        <dd>
          <Badge tone={tone}>{text}</Badge>
        </dd>
        {Object.entries(shown ?? {}).map(([name, value]) => (
          <>
            <dt>{Object.entries(labels).find(([field]) => field === name)?.[1] ?? name}</dt>
            <dd>{value ?? "–"}</dd>
          </>
        ))}
        {isOwn && (
          <>
            <dt>Last check</dt>
            <dd>
              <CheckResult one={one} /> <Time viewer={viewer} at={one.checkedAt} now={now} />
            </dd>
            <dt>Set</dt>
            <dd>
              <Time viewer={viewer} at={one.createdAt} now={now} /> by {one.createdBy}
            </dd>
          </>
        )}
      </dl>
      {canWrite && isOwn && (
        <div class="actions">
          <PostForm action={`${PATH}/${kind}/check`}>
            <button class="quiet" type="submit">
              Check {title} now
            </button>
          </PostForm>
          <details>
            <summary>Delete {title}</summary>
            <PostForm class="stack" action={`${PATH}/${kind}/delete`}>
              <p class="note">The deployment's is used from now on where the company may use it, and none otherwise.</p>
              <div>
                <button class="danger" type="submit">
                  Delete the {title} credential
                </button>
              </div>
            </PostForm>
          </details>
        </div>
      )}
      {canWrite && (kind !== "link-domain" || viewer.can("brands:write")) && (
        <details>
          <summary>
            {isOwn ? "Replace" : "Set"} {title}
          </summary>
          <CredentialForm kind={kind} shown={shown} />
        </details>
      )}
    </Panel>
  )
}

const CheckResult: FC<{ readonly one: CredentialAnswer }> = ({ one: { checkResult } }) =>
  checkResult === null ? (
    <span>cannot be checked</span>
  ) : (
    <Badge tone={checkResult === "ok" ? "good" : "warn"}>{inWords(checkResult)}</Badge>
  )

/** What is not secret is filled in; what is secret is entered again. */
const CredentialForm: FC<{
  readonly kind: CredentialKind
  readonly shown: CredentialAnswer["shown"]
}> = ({ kind, shown }) => (
  <PostForm class="stack" action={`${PATH}/${kind}`}>
    {Object.entries(KINDS[kind].labels).map(([name, label]) => (
      <div class="field">
        <label for={`${kind}-${name}`}>{label}</label>
        {isSecretField(name) ? (
          <input id={`${kind}-${name}`} type="password" name={name} autocomplete="off" required />
        ) : (
          <input id={`${kind}-${name}`} name={name} value={shown?.[name] ?? ""} required={!OPTIONAL_FIELDS.has(name)} />
        )}
      </div>
    ))}
    <div>
      <button type="submit">Check and save {KINDS[kind].title}</button>
    </div>
  </PostForm>
)
