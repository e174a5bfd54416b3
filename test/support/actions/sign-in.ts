/** Signing in to the dashboard, by the functions that its pages call, against the running world. */
import { randomUUID } from "node:crypto"
import { makeServices } from "../../../workers/make-services.ts"
import type { Services } from "../../../workers/platform/services.ts"
import { mailbox, waitFor, world } from "../world/world.ts"

/** The services of one request, and what it does after its answer. `vars` are added to those of the world. */
export async function requestServices(
  vars: Readonly<Record<string, string>> = {},
): Promise<{ readonly services: Services; readonly afterwards: () => Promise<void> }> {
  const works: Promise<unknown>[] = []
  const services = await makeServices({ ...world().vars, ...vars }, (work) => void works.push(work), randomUUID())
  return {
    services,
    async afterwards() {
      for (let done = 0; done < works.length; done++) await works[done]
    },
  }
}

/** Headers of a browser at an address of its own, so that limits by client do not join the tests. */
export const browser = (): Headers => {
  const bytes = () => Math.floor(Math.random() * 254) + 1
  return new Headers({ "cf-connecting-ip": `203.0.${bytes()}.${bytes()}` })
}

/** The token in the latest link that was sent to an address. */
export const sentLink = (to: string): Promise<string> =>
  waitFor(async () => {
    const links = (await mailbox()).filter((message) => message.to === to)
    return /\/dashboard\/sign-in\/(\S+)/.exec(links.at(-1)?.body ?? "")?.[1]
  })
