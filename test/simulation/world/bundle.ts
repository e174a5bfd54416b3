/**
 * The deployed bundle in the simulator: built from `workers/index.ts` like wrangler does. Packages are bundled separately and
 * evaluated once per process; the Worker's modules once per bundle, with the state of each isolate apart (module-state.ts).
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { relative, sep } from "node:path"
import { Script } from "node:vm"
import { type BuildContext, type BuildOptions, build, context, type Plugin } from "esbuild"
import { ROOT } from "../../steps.ts"
import { type ModuleState, makeStateSeams, VARIABLE_NAMES, withContainers, withoutVariables } from "./module-state.ts"
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

const PACKAGE_IMPORT = /__toESM\(require\(("(?!node:|events"|async_hooks")[^"]+")\)(?:, 1)?\)/g

/** Modules of Node that workerd also provides. */
const PLATFORM_MODULES = /^(node:)?(events|async_hooks|zlib)$/
const platform = createRequire(import.meta.url)

/** A change of one source file, at a text that occurs exactly once. */
export interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface AppBundle {
  readonly app: string
  /** The packages it imports. */
  readonly packages: readonly string[]
}

/** The text of `file` with the change. Throws if the place does not occur exactly once. */
export function patched(text: string, { file, find, replace }: Patch): string {
  const places = text.split(find).length - 1
  if (places !== 1) throw new Error(`${file} has ${places} places that read ${JSON.stringify(find)}; expected one`)
  return text.replace(find, () => replace)
}

/** What the plugin reads and writes during a build. */
interface BuildState {
  patches: readonly Patch[]
  readonly packages: Set<string>
  readonly used: Set<Patch>
}

/** Bundles the Worker's own code, any number of times; files that have not changed since the last time are not parsed again. */
export class AppBundler {
  readonly #context: BuildContext<typeof OPTIONS>
  readonly #state: BuildState

  private constructor(context: BuildContext<typeof OPTIONS>, state: BuildState) {
    this.#context = context
    this.#state = state
  }

  static async open(): Promise<AppBundler> {
    const state: BuildState = { patches: [], packages: new Set(), used: new Set() }
    const plugin: Plugin = {
      name: "isolate",
      setup(setup) {
        setup.onResolve({ filter: PLATFORM_MODULES }, ({ path }) => ({ path, external: true }))
        setup.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
          if (importer.includes("node_modules")) return undefined
          state.packages.add(path)
          return { path, external: true }
        })
        setup.onLoad({ filter: /\.ts$/ }, ({ path }) => {
          const file = relative(ROOT, path).split(sep).join("/")
          const own = state.patches.filter((patch) => patch.file === file)
          for (const patch of own) state.used.add(patch)
          return { contents: withoutVariables(own.reduce(patched, readFileSync(path, "utf8")), file), loader: "ts" }
        })
      },
    }
    const options = { ...OPTIONS, entryPoints: ["workers/index.ts"], plugins: [plugin], define: VARIABLE_NAMES }
    return new AppBundler(await context(options), state)
  }

  /** The bundle with `patches`. Rejects with esbuild's error, and when a patch is not part of the Worker. */
  async bundle(patches: readonly Patch[] = []): Promise<AppBundle> {
    const state = this.#state
    state.patches = patches
    state.packages.clear()
    state.used.clear()
    const result = await this.#context.rebuild()
    const unused = patches.filter((patch) => !state.used.has(patch))
    if (unused.length > 0) throw new Error(`not part of the Worker: ${unused.map(({ file }) => file).join(", ")}`)
    // esbuild copies a package for each module that imports it, and takes it for its default export; ours declare theirs.
    const app = withContainers(textOf(result).replaceAll(PACKAGE_IMPORT, "require($1)"))
    return { app, packages: [...state.packages].sort() }
  }

  close(): Promise<void> {
    return this.#context.dispose()
  }
}

/** The bundle of these packages. */
export async function bundleLibraries(packages: readonly string[]): Promise<string> {
  const contents = packages.map(
    (name, index) => `import * as package${index} from ${JSON.stringify(name)}
      export { package${index} }`,
  )
  const result = await build({
    ...OPTIONS,
    stdin: { contents: contents.join("\n"), resolveDir: ROOT, loader: "js" },
    external: ["node:events", "async_hooks"],
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

/** The Worker of an isolate: its modules, and their state. */
export interface IsolateParts {
  readonly module: WorkerModule
  readonly moduleState: ModuleState
}

/** Evaluated packages by name. */
export type Packages = ReadonlyMap<string, object>

/** Evaluates the bundle of packages. */
export function evaluatePackages(libraries: string, seams: Seams): Packages {
  const loaded = compile(libraries, "libraries.js", seams)(platformModule)
  return new Map(
    (loaded.names as string[]).map((name, index) => {
      const namespace = loaded[`package${index}`] as object
      return [name, { ...namespace, __esModule: true }] as const
    }),
  )
}

function platformModule(name: string): unknown {
  if (PLATFORM_MODULES.test(name)) return platform(name)
  throw new Error(`the bundle imports ${name}, which it does not contain`)
}

/**
 * Creates isolates of the Worker: all use the same replaced globals, and each has its own module state. `evaluatesModules`:
 * each evaluates all modules itself, as in production, which takes as long as several requests.
 */
export function isolateFactory(
  app: string,
  packages: Packages,
  seams: Seams,
  { moduleState, evaluatesModules }: { readonly moduleState: () => ModuleState; readonly evaluatesModules: boolean },
): () => IsolateParts {
  const evaluate = (state: () => ModuleState): WorkerModule =>
    compile(app, "worker.js", { ...seams, ...makeStateSeams(state) })(
      (name) => packages.get(name) ?? platformModule(name),
    ).default as WorkerModule
  const shared = evaluate(moduleState)
  return () => {
    const own: ModuleState = new Map()
    return { module: evaluatesModules ? evaluate(() => own) : shared, moduleState: own }
  }
}

/** Compiles a bundle whose globals are those; the result evaluates it. */
function compile(source: string, filename: string, globals: object) {
  const text = `(function (module, exports, require, ${Object.keys(globals).join(", ")}) {${source}\n})`
  // The result of a script is untyped; it is the function above.
  const code = new Script(text, { filename }).runInThisContext() as (...parts: unknown[]) => void
  return (require: (name: string) => unknown): Record<string, unknown> => {
    const module = { exports: {} as Record<string, unknown> }
    code(module, module.exports, require, ...Object.values(globals))
    return module.exports
  }
}
