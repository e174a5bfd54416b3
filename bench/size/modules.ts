/** What the bundle consists of: the minified bytes of each part, and what they come to when compressed. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { transform } from "esbuild"
import { z } from "zod"
import type { Bundle } from "../../local/processes/bundle.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

/** A package, or a folder of the project. */
export interface BundlePart {
  readonly name: string
  readonly bytes: number
  /** Compressed alone; in the bundle, parts share what they repeat. */
  readonly gzipBytes: number
}

const account = z.object({
  outputs: z.record(z.string(), z.object({ inputs: z.record(z.string(), z.object({ bytesInOutput: z.number() })) })),
})

/** The parts of a bundle, the largest first. */
export async function bundleParts(bundle: Bundle): Promise<readonly BundlePart[]> {
  const { outputs } = account.parse(JSON.parse(bundle.metafile))
  const inputs = Object.entries(outputs)
    .filter(([path]) => path.endsWith(".js"))
    .flatMap(([, output]) => Object.entries(output.inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  const byPart = Map.groupBy(inputs, ([path]) => partOf(path))
  const parts = await Promise.all(
    [...byPart].map(async ([name, files]): Promise<BundlePart> => {
      const bytes = files.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0)
      const code = (await Promise.all(files.map(([path]) => minified(path)))).join("\n")
      // What is not used is left out of the bundle: the ratio is that of whole files, the bytes are those in the bundle.
      const ratio = gzipSync(code).byteLength / Math.max(1, Buffer.byteLength(code))
      return { name, bytes, gzipBytes: Math.round(bytes * ratio) }
    }),
  )
  return parts.sort((a, b) => b.bytes - a.bytes)
}

/** A package by its name, a file of ours by its first two folders. */
function partOf(path: string): string {
  const ofPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]
  return ofPackage ?? path.split("/").slice(0, -1).slice(0, 2).join("/")
}

async function minified(path: string): Promise<string> {
  const loader = /\.tsx$/.test(path) ? "tsx" : /\.ts$/.test(path) ? "ts" : /\.json$/.test(path) ? "json" : "js"
  return (await transform(readFileSync(join(ROOT, path), "utf8"), { loader, minify: true })).code
}
