/** Rotations of an environment's variables, in the file from which they are uploaded. */
import { randomBytes } from "node:crypto"
import { CommandError } from "../deployment.ts"
import { readSecrets, writeSecrets } from "./file.ts"
import { currentKeys, rotatedKeys } from "./qstash-keys.ts"
import { readSecret } from "./read-secret.ts"
import {
  applyQstashKeys,
  type FileChange,
  fingerprintOf,
  finishQstash,
  finishWebhook,
  KEY_RINGS,
  planQstash,
  rotateKeys,
  rotateWebhook,
  secretsIn,
  WEBHOOK_VARIABLES,
} from "./rotation.ts"
import { upload, uploadCommand } from "./upload.ts"

export interface EnvironmentOptions {
  readonly env: string
  readonly file: string
  readonly overlapHours: number
  readonly upload: boolean
  readonly dryRun: boolean
}

export type WebhookProvider = keyof typeof WEBHOOK_VARIABLES
export type KeyRingName = (typeof KEY_RINGS)[number]

/** The result, as sentences; `variables` names what changed. */
export interface Outcome {
  readonly variables: readonly string[]
  readonly lines: readonly string[]
}

/** Puts the new secret, read from stdin, before the old one. */
export async function rotateEnvironmentWebhook(
  provider: WebhookProvider,
  options: EnvironmentOptions,
): Promise<Outcome> {
  const variable = WEBHOOK_VARIABLES[provider]
  const before = readSecrets(options.file)
  const secret = await readSecret(`The new ${variable}: `)
  const { overlapHours } = options
  const after = rotateWebhook(before, { variable, secret, now: new Date(), overlapHours })
  await save(after, options, "begin")
  const old = secretsIn(before.variables[variable]).length
  return {
    variables: [variable],
    lines: [
      `${variable} has the new secret ${fingerprintOf(secret)} first${old > 0 ? " and still takes the old one" : ""}.`,
      ...uploadLines(options),
      ...(old > 0
        ? [
            `Then let ${provider} sign with the new one, and in ${overlapHours} hours: npm run secrets -- finish --webhook ${provider} --env ${options.env}`,
          ]
        : []),
    ],
  }
}

/** Removes old secrets whose overlap is over. */
export async function finishEnvironmentWebhook(
  provider: WebhookProvider,
  options: EnvironmentOptions,
): Promise<Outcome> {
  const variable = WEBHOOK_VARIABLES[provider]
  const before = readSecrets(options.file)
  const after = finishWebhook(before, { variable, now: new Date() })
  await save(after, options, "end")
  const removed = secretsIn(before.variables[variable]).length - secretsIn(after.variables[variable]).length
  return { variables: [variable], lines: [`${removed} old of ${variable} removed.`, ...uploadLines(options)] }
}

/** QStash is rotated first, while the Worker has its next key; the Worker gets the new keys afterwards. */
export async function rotateQstash(options: EnvironmentOptions): Promise<Outcome> {
  const before = readSecrets(options.file)
  const keys = await currentKeys(before.variables)
  const plan = planQstash(before, keys)
  const variables = ["QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"]
  if (options.dryRun) return { variables, lines: [WHAT[plan], ...uploadLines(options)] }

  const withNewKeys = applyQstashKeys(
    before,
    plan === "rotate" ? await rotatedKeys(before.variables) : keys,
    new Date(),
  )
  writeSecrets(options.file, withNewKeys, "begin")
  if (options.upload) {
    await upload(options.file, options.env)
    writeSecrets(options.file, finishQstash(withNewKeys), "end")
    return { variables, lines: [WHAT[plan], "The Worker has the new keys."] }
  }
  const finish = `Then: npm run secrets -- finish --qstash --env ${options.env}`
  return { variables, lines: [WHAT[plan], ...uploadLines(options), finish] }
}

const WHAT = {
  rotate: "QStash signs with its next key, which the Worker knows already.",
  adopt: "QStash had been rotated; the Worker knows its key as the next one.",
  replace:
    "QStash was rotated more often than the Worker has heard of: its calls may be refused until the upload is done.",
} as const

/** Confirms that the Worker has the keys; called by the operator, or after `--upload`. */
export async function finishQstashRotation(options: EnvironmentOptions): Promise<Outcome> {
  const after = finishQstash(readSecrets(options.file))
  await save(after, options, "end")
  return { variables: [], lines: ["The Worker has QStash's keys; they may be rotated again."] }
}

const KEY_BYTES = 32

/** Adds a new version to a key ring; after the upload it encrypts, and all versions decrypt. */
export async function rotateKeyRing(variable: KeyRingName, options: EnvironmentOptions): Promise<Outcome> {
  const after = rotateKeys(readSecrets(options.file), { variable, key: randomBytes(KEY_BYTES) })
  await save(after, options, "begin")
  return {
    variables: [variable],
    lines: [
      `${variable} has a new version, which writes from now on; keep a copy of it where the others are.`,
      ...uploadLines(options),
      "The old versions stay: they open what they have sealed.",
    ],
  }
}

/** The content of the file, without secrets. */
export function listEnvironment(options: EnvironmentOptions) {
  const { variables, rotations } = readSecrets(options.file)
  return {
    webhooks: Object.values(WEBHOOK_VARIABLES).map((variable) => ({
      variable,
      secrets: secretsIn(variables[variable]).map((secret) => {
        const fingerprint = fingerprintOf(secret)
        const ending = rotations.webhooks.find(
          (entry) => entry.variable === variable && entry.fingerprint === fingerprint,
        )
        return { fingerprint, until: ending?.until ?? null }
      }),
    })),
    keyRings: KEY_RINGS.map((variable) => ({
      variable,
      versions: [...(variables[variable] ?? "").matchAll(/(?:^|,)\s*v(\d+):/g)].map(([, version]) => Number(version)),
    })),
    qstash: {
      fingerprints: [variables.QSTASH_CURRENT_SIGNING_KEY, variables.QSTASH_NEXT_SIGNING_KEY].map((key) =>
        key === undefined ? null : fingerprintOf(key),
      ),
      pendingSince: rotations.qstashPendingSince,
    },
  }
}

async function save(
  changed: FileChange,
  { file, env, dryRun, upload: isUpload }: EnvironmentOptions,
  step: "begin" | "end",
): Promise<void> {
  if (dryRun) return
  writeSecrets(file, changed, step)
  if (isUpload) await upload(file, env)
}

const uploadLines = ({ file, env, dryRun, upload: isUpload }: EnvironmentOptions): string[] => {
  if (dryRun) return ["Nothing was changed (--dry-run)."]
  return [isUpload ? "Uploaded." : `Now: ${uploadCommand(file, env)}`]
}

/** Parses the hours of an overlap. */
export function hoursOf(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) > 168)
    throw new CommandError("--overlap is a number of hours from 0 to 168.")
  return Number(text)
}
