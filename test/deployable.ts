/** Builds what `wrangler deploy --env …` would upload, and checks its size. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { ROOT } from "./steps.ts"

/** Maximum size of the bundle, gzipped. */
const GZIP_BYTES_MAX = 640 * 1024

const environment = process.argv[2] ?? "production"
const outdir = mkdtempSync(join(tmpdir(), "churn-saver-bundle-"))
try {
  const args = ["deploy", "--dry-run", "--minify", "--env", environment, "--outdir", outdir]
  const build = spawnSync("wrangler", args, { cwd: ROOT, encoding: "utf8" })
  if (build.status !== 0) throw new Error(`wrangler deploy --dry-run failed:\n${build.stdout}\n${build.stderr}`)
  const bundle = readdirSync(outdir).find((name) => name.endsWith(".js"))
  if (bundle === undefined) throw new Error("wrangler wrote no bundle")
  const bytes = gzipSync(readFileSync(join(outdir, bundle))).byteLength
  process.stdout.write(
    `  ${environment}: ${(bytes / 1024).toFixed(1)} KiB gzip (budget ${GZIP_BYTES_MAX / 1024} KiB)\n`,
  )
  if (bytes > GZIP_BYTES_MAX)
    throw new Error(
      "the bundle is over its budget; `import { z }` anywhere in the Worker costs 64 KiB, `import * as z` does not",
    )
} finally {
  rmSync(outdir, { recursive: true, force: true })
}
