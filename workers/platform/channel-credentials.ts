/** Which credentials a company's channels use: its own, else the deployment's where it may, else none. */
import type { Config } from "../../shared/config.ts"
import type { SharedKind } from "../../shared/credentials.ts"
import type { CompanyAccess } from "./credentials.ts"

/** Credentials, and whose they are. */
interface Used<Values> {
  readonly values: Values
  /** The company whose own they are; null: the deployment's, or none. */
  readonly companyId: string | null
}

/** What the channels are built from; null where there is nothing. */
export interface ChannelCredentials {
  readonly sendgrid: Used<{
    readonly apiKey: string | null
    readonly from: string | null
    readonly replyTo: string | null
  }>
  readonly twilio: Used<{
    readonly accountSid: string | null
    readonly authToken: string | null
    readonly from: string | null
  }>
  readonly slack: Used<{ readonly webhookUrl: string | null }>
  readonly whop: Used<{ readonly apiKey: string | null; readonly experienceId: string | null }>
}

const NONE: ChannelCredentials = {
  sendgrid: { values: { apiKey: null, from: null, replyTo: null }, companyId: null },
  twilio: { values: { accountSid: null, authToken: null, from: null }, companyId: null },
  slack: { values: { webhookUrl: null }, companyId: null },
  whop: { values: { apiKey: null, experienceId: null }, companyId: null },
}

/** The only host to which alerts to the team are sent; in the local world its replacement. */
export function slackOrigin({ channels, environment }: Config): string {
  const { webhookUrl } = channels.slack
  return environment === "local" && webhookUrl !== null ? new URL(webhookUrl).origin : "https://hooks.slack.com"
}

/** The deployment's own. */
export const deploymentCredentials = ({ channels, providers }: Config): ChannelCredentials => ({
  sendgrid: { values: channels.sendgrid, companyId: null },
  twilio: { values: channels.twilio, companyId: null },
  slack: { values: channels.slack, companyId: null },
  whop: { values: { apiKey: providers.whop.apiKey, experienceId: channels.whop.experienceId }, companyId: null },
})

/** A company's: of each kind its own, never a mixture of both. */
export function companyCredentials(
  config: Config,
  { own, shared }: CompanyAccess,
  companyId: string,
): ChannelCredentials {
  const deployment = deploymentCredentials(config)
  const choose = <Kind extends SharedKind & keyof ChannelCredentials>(kind: Kind): ChannelCredentials[Kind] =>
    shared.has(kind) ? deployment[kind] : NONE[kind]
  return {
    sendgrid: own.sendgrid ? { values: own.sendgrid, companyId } : choose("sendgrid"),
    twilio: own.twilio ? { values: own.twilio, companyId } : choose("twilio"),
    slack: own.slack ? { values: own.slack, companyId } : choose("slack"),
    whop: own.whop ? { values: own.whop, companyId } : choose("whop"),
  }
}
