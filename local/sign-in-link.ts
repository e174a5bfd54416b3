/**
 * A link with which to sign in to the dashboard of a local world. It is made as anywhere else: the bootstrap key invites a
 * person, the person asks for a link, and the link arrives by e-mail, here in the mailbox. The Worker has no other way in.
 */
import { setTimeout as sleep } from "node:timers/promises"

/** Who signs in: an admin of the company. */
export const LOCAL_ADMIN = "admin@local.example"

/** The e-mail arrives within milliseconds; a busy machine takes longer. */
const WAIT_MS_MAX = 10_000
const POLL_MS = 50

const LINK = /https?:\/\/\S+\/dashboard\/sign-in\/\S+/

export interface SignInRequest {
  readonly workerUrl: string
  readonly apiKey: string
  readonly companyId: string
  /** The texts of all e-mails to `LOCAL_ADMIN` so far, the latest last. */
  readonly readMail: () => Promise<readonly string[]>
}

/** The address at which browsers keep the dashboard's cookie without TLS: they do so for the name `localhost` only. */
export const browserUrl = (workerUrl: string): string => workerUrl.replace("127.0.0.1", "localhost")

/**
 * A link that signs in once, within 15 minutes of the world's clock. Null where none arrived: the world is partly down, or
 * five links were sent within the hour.
 */
export async function makeSignInLink({
  workerUrl,
  apiKey,
  companyId,
  readMail,
}: SignInRequest): Promise<string | null> {
  const before = (await readMail()).filter((text) => LINK.test(text)).length
  const invited = await fetch(`${workerUrl}/api/people`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${apiKey}`,
      "content-type": "application/json",
      "x-company-id": companyId,
    },
    body: JSON.stringify({ email: LOCAL_ADMIN, role: "admin" }),
  })
  await invited.arrayBuffer()
  const isInvited = invited.ok || invited.status === 409
  if (!isInvited) return null

  const asked = await fetch(`${workerUrl}/dashboard/sign-in/link`, {
    method: "POST",
    headers: { origin: workerUrl },
    body: new URLSearchParams({ email: LOCAL_ADMIN }),
  })
  await asked.arrayBuffer()
  if (!asked.ok) return null

  for (const untilMs = Date.now() + WAIT_MS_MAX; Date.now() < untilMs; await sleep(POLL_MS)) {
    const links = (await readMail()).flatMap((text) => LINK.exec(text) ?? [])
    const latest = links.at(-1)
    if (latest !== undefined && links.length > before) return browserUrl(latest)
  }
  return null
}
