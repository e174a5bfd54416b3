/**
 * State of the Worker's modules: what a module keeps between requests. The modules are evaluated once for all isolates, since
 * their schemas, tables and routes take longer than a request; only their state belongs to one isolate. The bundle is changed
 * in the places where modules keep state, and a place of an unknown form is refused. A test compares runs with those in
 * which each isolate evaluates all modules itself.
 */

/** The state of one isolate, by name. */
export type ModuleState = Map<string, unknown>

/** Parameters of the function that wraps the bundle. */
export interface StateSeams {
  /** The variables of the current isolate. */
  readonly moduleVariables: object
  readonly moduleVariable: (name: string, make: () => unknown) => void
  readonly moduleContainer: (name: string, make: () => object) => object
}

/** Variables at the top of modules, which they assign. Each name is the only one of the Worker. */
const VARIABLES = ["failedAtMs", "flushedAtMs", "latest"] as const

/** esbuild's `define`: replaces the names of variables that are no longer declared. */
export const VARIABLE_NAMES: Readonly<Record<string, string>> = Object.fromEntries(
  VARIABLES.map((name) => [name, `moduleVariables.${name}`]),
)

const VARIABLE = /^let (\w+)(?:: [^=]+)? = (.+)$/gm

/** The source of a module without its variables, which are initialized with the state. Throws for an unknown variable. */
export const withoutVariables = (source: string, file: string): string =>
  source.replace(VARIABLE, (_, name: string, value: string) => {
    if (!VARIABLES.some((known) => known === name))
      throw new Error(`${file} has a variable ${name}, which module-state.ts does not know`)
    return `moduleVariable("${name}", () => ${value})`
  })

const DECLARATION = /^var (\w+) = (?:\/\* @__PURE__ \*\/ )?((?:new )?[\w.]+)\((.*)$/gm
/** What makes a container whose content belongs to an isolate. */
const CONTAINERS = /^(new (TtlCache|BoundedMap|Buckets|RequestCounter|GroupCalls|ConcurrencyLimit)|newFlagCache)$/
/** Values that do not change after their creation, or whose content is found by an object of one isolate. */
const CONSTANT = /^new (import_\w+\.Hono|Set|WeakMap|Map|\w+Array|Text(En|De)coder|Date|RegExp|Noop\w+)$/
/** Pure caches, whose content depends on nothing but its key. */
const PURE_CACHES: ReadonlySet<string> = new Set(["formatters"])

/** The bundle with its containers created for each isolate. Throws for an object of an unknown class. */
export const withContainers = (app: string): string =>
  app.replace(DECLARATION, (line, name: string, maker: string, rest: string) => {
    const isEmptyMap = maker === "new Map" && rest === ");" && !PURE_CACHES.has(name)
    if (CONTAINERS.test(maker) || isEmptyMap)
      return `var ${name} = moduleContainer("${name}", () => ${maker}(${rest.slice(0, -1)});`
    if (maker.startsWith("new ") && !CONSTANT.test(maker))
      throw new Error(`${line.slice(0, 80)} … may be state of a module; module-state.ts does not know ${maker}`)
    return line
  })

/** The replacements for modules whose state is that of the current isolate. Outside of isolates state is not available. */
export function makeStateSeams(current: () => ModuleState): StateSeams {
  const makers = new Map<string, () => unknown>()
  const currentValue = (name: string): unknown => {
    const state = current()
    if (!state.has(name)) state.set(name, makers.get(name)?.())
    return state.get(name)
  }
  return {
    moduleVariables: new Proxy(
      {},
      {
        get: (_, name) => currentValue(String(name)),
        set: (_, name, value) => Boolean(current().set(String(name), value)),
      },
    ),
    moduleVariable: (name, make) => void makers.set(name, make),
    moduleContainer(name, make) {
      makers.set(name, make)
      return new Proxy(Object.create(null), {
        get(_, key) {
          const container = currentValue(name) as object
          const value: unknown = Reflect.get(container, key, container)
          return typeof value === "function" ? value.bind(container) : value
        },
        set: (_, key, value) => Reflect.set(currentValue(name) as object, key, value),
      })
    },
  }
}
