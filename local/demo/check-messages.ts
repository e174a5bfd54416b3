/** Whether every message of the demo went out from the right company, in its words, and nothing crossed over. */
import { LOCAL_ADMIN } from "../sign-in-link.ts"
import type { CompanyProfile, DemoCompany } from "./companies.ts"
import type { Message } from "./http.ts"
import { isTo } from "./member-actions.ts"
import type { Member } from "./members.ts"

/** A company with the members that only it may write to. */
export interface CompanyMembers {
  readonly company: DemoCompany
  readonly members: readonly Member[]
}

/** The company that a message is for, by its recipient; null: nobody's. */
export function ownerOf(message: Message, companies: readonly CompanyMembers[]): DemoCompany | null {
  if (message.channel === "slack") {
    const account = /_of_(\w+)$/.exec(message.to)?.[1]
    return companies.find(({ company }) => company.profile.own?.account === account)?.company ?? null
  }
  return companies.find(({ members }) => members.some((member) => isTo(message, member)))?.company ?? null
}

/** What is wrong with the messages, one sentence each; those to people who sign in are not looked at. */
export function findMisdirected(messages: readonly Message[], companies: readonly CompanyMembers[]): string[] {
  const people = new Set([LOCAL_ADMIN, ...companies.flatMap(({ company }) => company.profile.people)])
  return messages
    .filter(({ to }) => !people.has(to))
    .flatMap((message) => {
      const owner = ownerOf(message, companies)
      if (owner === null) return [`a message by ${message.channel} went to nobody's member`]
      const others = companies.map(({ company }) => company.profile).filter((profile) => profile !== owner.profile)
      return faultsOf(message, owner, others).map(
        (fault) => `a message by ${message.channel} of ${owner.profile.name} ${fault}`,
      )
    })
}

function faultsOf(message: Message, { profile, world }: DemoCompany, others: readonly CompanyProfile[]): string[] {
  const text = `${message.subject}\n${message.body}`
  const faults: string[] = []
  if (!text.includes(profile.name)) faults.push("does not name it")
  for (const { name, motto } of others) {
    if (text.includes(name) || (motto !== null && text.includes(motto))) faults.push(`has words of ${name}`)
  }
  if (message.channel === "slack") return faults

  if (profile.motto !== null && !text.includes(profile.motto)) faults.push("is not in its words")
  if (message.account !== profile.own?.account)
    faults.push(`was sent with the key of ${message.account ?? "the deployment"}`)
  const isOwnSender = profile.own === null || profile.own.sender.includes(`<${message.from}>`)
  const isOthersSender = others.some(({ own }) => own?.sender.includes(`<${message.from}>`))
  if (!isOwnSender || isOthersSender) faults.push(`was sent by ${message.from}`)
  const host = profile.own?.linkDomain ?? new URL(world.workerUrl).host
  const links =
    `${text} ${message.headers?.["List-Unsubscribe"] ?? ""}`.match(/https?:\/\/[^\s<>"]+\/(?:r|unsubscribe)\//g) ?? []
  if (links.some((link) => new URL(link).host !== host)) faults.push("has links of another domain")
  return faults
}
