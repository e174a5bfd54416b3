/** Builds a Worker as `wrangler deploy` would upload it. */
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { promisify } from "node:util"
import { gzipSync } from "node:zlib"
import { WRANGLER_CONFIG } from "./worker.ts"

export interface Bundle {
  readonly dir: string
  /** The one module of the bundle. */
  readonly module: string
  readonly bytes: number
  readonly gzipBytes: number
  /** esbuild's account of what the module was made of, as JSON. */
  readonly metafile: string
}

/** Builds `entry`, or the project's Worker, minified, with the deployed configuration. Rejects with wrangler's message. */
export async function buildBundle(outdir: string, entry?: string): Promise<Bundle> {
  const metafile = join(outdir, "metafile.json")
  const args = ["deploy", ...(entry === undefined ? [] : [entry]), "--dry-run", "--minify", "--env", ""]
  await promisify(execFile)(
    "wrangler",
    [...args, "--config", WRANGLER_CONFIG, "--outdir", outdir, "--metafile", metafile],
    {
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", WRANGLER_LOG_PATH: outdir },
    },
  )
  const modules = readdirSync(outdir).filter((name) => /\.(js|wasm|bin)$/.test(name))
  const [module] = modules
  if (module === undefined || modules.length > 1) throw new Error(`expected one module: ${modules.join(", ")}`)
  const code = readFileSync(join(outdir, module))
  return {
    dir: outdir,
    module: basename(module),
    bytes: code.byteLength,
    gzipBytes: gzipSync(code).byteLength,
    metafile: readFileSync(metafile, "utf8"),
  }
}
