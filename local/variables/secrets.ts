import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** The secrets of one local world: random, and the same after every restart. */
export type Secrets = {
  /** The secret `name`, created by `make` the first time; default: 24 random bytes in hex. */
  get(name: string, make?: () => string): string
}

/** A file of secrets that only its owner can read. */
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
