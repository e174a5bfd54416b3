import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** The secrets of one local world: made once, at random, and the same after every restart. */
export type Secrets = {
  /** The secret called `name`, made by `make` the first time: 24 random bytes in hex unless said otherwise. */
  get(name: string, make?: () => string): string
}

/** A readable-by-the-owner-only file of secrets. */
export function openSecrets(file: string): Secrets {
  const saved: Record<string, string> = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {}
  return {
    get(name, make = () => randomBytes(24).toString("hex")) {
      const known = saved[name]
      if (known !== undefined) return known
      const made = make()
      saved[name] = made
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, JSON.stringify(saved, null, 2), { mode: 0o600 })
      return made
    },
  }
}
