/**
 * The deployed bundle in the simulator: built from `workers/index.ts` like wrangler does, and started again for each isolate.
 * Packages are bundled separately and started once per process, so that an isolate starts in one millisecond instead of
 * twenty. Packages with module state are part of the isolate.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { relative, sep } from "node:path"
import { Script } from "node:vm"
import { type BuildOptions, build, type Plugin } from "esbuild"
import { ROOT } from "../../steps.ts"
import type { Seams } from "./seams.ts"

/** wrangler's options for workerd. */
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

/** Packages with module state (OpenFeature registers one provider per module), which each isolate needs for itself. */
const STATEFUL_PACKAGES = /^@(openfeature\/|upstash\/ratelimit)/

/** Modules of Node that workerd also provides. */
const PLATFORM_MODULES = /^(node:)?(events|async_hooks)$/
const platform = createRequire(import.meta.url)

/** A change of one source file, at a text that occurs exactly once. */
export interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Bundle {
  readonly libraries: string
  readonly app: string
}

/** The text of `file` with the change. Throws if the place does not occur exactly once. */
export function patched(text: string, { file, find, replace }: Patch): string {
  const places = text.split(find).length - 1
  if (places !== 1) throw new Error(`${file} has ${places} places that read ${JSON.stringify(find)}; expected one`)
  return text.replace(find, () => replace)
}

/** Bundles the packages, and the Worker's code with `patches`. Rejects with esbuild's error. */
export async function bundle(patches: readonly Patch[] = []): Promise<Bundle> {
  const { app, packages } = await bundleApp(patches)
  return { app, libraries: await bundleLibraries(packages) }
}

/** The Worker's own code, and the packages it imports. */
export async function bundleApp(
  patches: readonly Patch[] = [],
): Promise<{ readonly app: string; readonly packages: readonly string[] }> {
  const packages = new Set<string>()
  const used = new Set<Patch>()
  const plugin: Plugin = {
    name: "isolate",
    setup(setup) {
      setup.onResolve({ filter: PLATFORM_MODULES }, ({ path }) => ({ path, external: true }))
      setup.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
        if (STATEFUL_PACKAGES.test(path) || importer.includes("node_modules")) return undefined
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
  // esbuild treats our modules as Node's and a whole package as its default export; the packages declare theirs.
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

/** What the bundle exports. */
export interface WorkerModule {
  fetch(request: Request, env: object, context: object): Promise<Response>
  scheduled(controller: object, env: object, context: object): Promise<void> | void
}

/** Creates isolates of a bundle: each has its own module state, and all use the same replaced globals. */
export function isolateFactory({ libraries, app }: Bundle, seams: Seams): () => WorkerModule {
  const names = Object.keys(seams)
  const values = Object.values(seams)
  const compile = (source: string, filename: string) => {
    const text = `(function (module, exports, require, ${names.join(", ")}) {${source}\n})`
    // The result of a script is untyped; it is the function above.
    return new Script(text, { filename }).runInThisContext() as (...parts: unknown[]) => void
  }
  const run = (code: (...parts: unknown[]) => void, require: (name: string) => unknown): Record<string, unknown> => {
    const module = { exports: {} as Record<string, unknown> }
    code(module, module.exports, require, ...values)
    return module.exports
  }
  const missing = (name: string): unknown => {
    if (PLATFORM_MODULES.test(name)) return platform(name)
    throw new Error(`the bundle imports ${name}, which it does not contain`)
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
