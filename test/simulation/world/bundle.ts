/**
 * The deployable as the simulator runs it: bundled from `workers/index.ts` as wrangler does it, and started anew for each
 * isolate. Packages are bundled apart and started once in a process; a Worker of our own code alone starts in a
 * millisecond instead of twenty, and a crash is a new isolate. Packages with state of their own stay in the isolate.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { relative, sep } from "node:path"
import { Script } from "node:vm"
import { type BuildOptions, build, type Plugin } from "esbuild"
import { ROOT } from "../../steps.ts"
import type { Seams } from "./seams.ts"

/** As wrangler builds for workerd. */
const OPTIONS = {
  bundle: true,
  format: "cjs",
  target: "es2022",
  platform: "browser",
  conditions: ["workerd", "worker", "browser"],
  write: false,
  logLevel: "silent",
  absWorkingDir: ROOT,
} satisfies BuildOptions & { write: false }

/** A provider of flags is registered once for the whole module, so each isolate needs a module of its own. */
const OF_THE_ISOLATE = /^@(openfeature\/|upstash\/ratelimit)/

/** Modules of Node that workerd offers too. */
const OF_THE_PLATFORM = /^(node:)?(events|async_hooks)$/
const platform = createRequire(import.meta.url)

/** One change to one source file, found by exactly one place in it. */
export interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Bundle {
  readonly libraries: string
  readonly app: string
}

/** The text of `file` with the change made. Throws when its place is not there exactly once: then the list is stale. */
export function patched(text: string, { file, find, replace }: Patch): string {
  const places = text.split(find).length - 1
  if (places !== 1) throw new Error(`${file} has ${places} places that read ${JSON.stringify(find)}; expected one`)
  return text.replace(find, () => replace)
}

/** Bundles the packages, and the Worker's own code with `patches` made. Rejects with esbuild's words. */
export async function bundle(patches: readonly Patch[] = []): Promise<Bundle> {
  const { app, packages } = await bundleApp(patches)
  return { app, libraries: await bundleLibraries(packages) }
}

/** The Worker's own code, and the packages it asks for. */
export async function bundleApp(
  patches: readonly Patch[] = [],
): Promise<{ readonly app: string; readonly packages: readonly string[] }> {
  const packages = new Set<string>()
  const used = new Set<Patch>()
  const plugin: Plugin = {
    name: "isolate",
    setup(setup) {
      setup.onResolve({ filter: OF_THE_PLATFORM }, ({ path }) => ({ path, external: true }))
      setup.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
        if (OF_THE_ISOLATE.test(path) || importer.includes("node_modules")) return undefined
        packages.add(path)
        return { path, external: true }
      })
      setup.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = relative(ROOT, path).split(sep).join("/")
        const own = patches.filter((patch) => patch.file === file)
        if (own.length === 0) return undefined
        for (const patch of own) used.add(patch)
        return { contents: own.reduce(patched, readFileSync(path, "utf8")), loader: "ts" }
      })
    },
  }
  const result = await build({ ...OPTIONS, entryPoints: ["workers/index.ts"], plugins: [plugin] })
  const unused = patches.filter((patch) => !used.has(patch))
  if (unused.length > 0) throw new Error(`not part of the Worker: ${unused.map(({ file }) => file).join(", ")}`)
  // Our modules are Node's to esbuild, which then takes a whole package for its default export; ours say what theirs is.
  const app = textOf(result).replaceAll(/__toESM\(require\(("[^"]+")\), 1\)/g, "__toESM(require($1))")
  return { app, packages: [...packages].sort() }
}

async function bundleLibraries(packages: readonly string[]): Promise<string> {
  const contents = packages.map(
    (name, index) => `import * as package${index} from ${JSON.stringify(name)}
      export { package${index} }`,
  )
  const result = await build({
    ...OPTIONS,
    stdin: { contents: contents.join("\n"), resolveDir: ROOT, loader: "js" },
    footer: { js: `module.exports.names = ${JSON.stringify(packages)}` },
  })
  return textOf(result)
}

function textOf(result: { readonly outputFiles: readonly { readonly text: string }[] }): string {
  const [file] = result.outputFiles
  if (file === undefined) throw new Error("esbuild wrote no bundle")
  return file.text
}

/** What the deployable exports. */
export interface WorkerModule {
  fetch(request: Request, env: object, context: object): Promise<Response>
  scheduled(controller: object, env: object, context: object): Promise<void> | void
}

/** Makes isolates of a bundle; each has module state of its own, and all see the world through the same seams. */
export function isolateFactory({ libraries, app }: Bundle, seams: Seams): () => WorkerModule {
  const names = Object.keys(seams)
  const values = Object.values(seams)
  const compile = (source: string, filename: string) => {
    const text = `(function (module, exports, require, ${names.join(", ")}) {${source}\n})`
    // What a script evaluates to is not typed; it is the function above.
    return new Script(text, { filename }).runInThisContext() as (...parts: unknown[]) => void
  }
  const run = (code: (...parts: unknown[]) => void, require: (name: string) => unknown): Record<string, unknown> => {
    const module = { exports: {} as Record<string, unknown> }
    code(module, module.exports, require, ...values)
    return module.exports
  }
  const missing = (name: string): unknown => {
    if (OF_THE_PLATFORM.test(name)) return platform(name)
    throw new Error(`the bundle asks for ${name}, which is not in it`)
  }

  const loaded = run(compile(libraries, "libraries.js"), missing)
  const packages = new Map(
    (loaded.names as string[]).map((name, index) => {
      const namespace = loaded[`package${index}`] as object
      return [name, { ...namespace, __esModule: true }] as const
    }),
  )
  const code = compile(app, "worker.js")
  return () => run(code, (name) => packages.get(name) ?? missing(name)).default as WorkerModule
}
