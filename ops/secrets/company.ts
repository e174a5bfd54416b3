/** Rotations of a company's own webhook secrets, through the API of a deployment. */
import { z } from "zod"
import { CommandError, callApi, type Deployment } from "../deployment.ts"
import type { Outcome, WebhookProvider } from "./environment.ts"
import { readSecret } from "./read-secret.ts"

const PATH = "/api/secrets/webhooks"

const secret = z.object({
  id: z.string(),
  provider: z.string(),
  fingerprint: z.string().nullable(),
  createdAt: z.string(),
  createdBy: z.string().nullable(),
  expiresAt: z.string().nullable(),
  isActive: z.boolean(),
})
const list = z.object({ data: z.array(secret) })
const added = secret.extend({ othersAcceptedUntil: z.string().nullable() })

/** The company's secrets, as fingerprints. */
export const listCompany = async (deployment: Deployment) => (await callApi(deployment, "GET", PATH, list)).data

/** Adds the new secret, read from stdin; earlier ones stay valid for an overlap. */
export async function rotateCompanyWebhook(
  deployment: Deployment,
  provider: WebhookProvider,
  { overlapHours, dryRun }: { readonly overlapHours: number; readonly dryRun: boolean },
): Promise<Outcome> {
  const active = (await listCompany(deployment)).filter((entry) => entry.provider === provider && entry.isActive)
  const isFirst = active.length === 0
  const text = await readSecret(`The new ${provider} webhook secret of ${deployment.companyId}: `)
  if (dryRun) return { variables: [], lines: ["Nothing was changed (--dry-run)."] }
  const body = { provider, secret: text, overlapHours }
  const { fingerprint, othersAcceptedUntil } = await callApi(deployment, "POST", PATH, added, body)
  const lines = isFirst
    ? [
        `The endpoint …/api/webhooks/${provider}/${deployment.companyId} has a secret of its own now: ${fingerprint}.`,
        "Within a minute it takes no other, the deployment's neither.",
      ]
    : [
        `The secret ${fingerprint} is taken everywhere within a minute, the old one until ${othersAcceptedUntil}.`,
        `Wait that minute, then let ${provider} sign with the new one at …/api/webhooks/${provider}/${deployment.companyId}.`,
        "The old one ends by itself. In the log lines webhook_recorded, secretIndex 0 is the new one.",
      ]
  return { variables: [], lines }
}

/** Ends the old secrets of a provider now. */
export async function finishCompanyWebhook(
  deployment: Deployment,
  provider: WebhookProvider,
  { dryRun }: { readonly dryRun: boolean },
): Promise<Outcome> {
  const active = (await listCompany(deployment)).filter((entry) => entry.provider === provider && entry.isActive)
  const old = active.filter(({ expiresAt }) => expiresAt !== null)
  if (old.length === 0) throw new CommandError("No rotation is under way.")
  if (dryRun) return { variables: [], lines: [`${old.length} would end.`, "Nothing was changed (--dry-run)."] }
  for (const { id } of old) await callApi(deployment, "DELETE", `${PATH}/${id}`, secret, {})
  return { variables: [], lines: [`${old.length} old ended; they are refused everywhere within a minute.`] }
}
