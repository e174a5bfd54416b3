import { jsonReply, type Reply } from "../faults.ts"

/** A provider's object, as in its API. */
export type ApiObject = Record<string, unknown> & { readonly id: string }

/** The objects of one provider's local replacement, by kind and id. */
export type ObjectStore = {
  get(kind: string, id: string): ApiObject | undefined
  put(kind: string, object: ApiObject): ApiObject
  /** In the order of creation. */
  list(kind: string): ApiObject[]
  clear(): void
}

/** An empty store. */
export function createObjects(): ObjectStore {
  const kinds = new Map<string, Map<string, ApiObject>>()
  return {
    get: (kind, id) => kinds.get(kind)?.get(id),
    put(kind, object) {
      const known = kinds.get(kind) ?? new Map<string, ApiObject>()
      kinds.set(kind, known.set(object.id, object))
      return object
    },
    list: (kind) => [...(kinds.get(kind)?.values() ?? [])],
    clear: () => kinds.clear(),
  }
}

const OBJECT_PATH = /^\/__objects\/([a-z_]+)\/([^/?]+)$/

/**
 * Answers `PUT /__objects/:kind/:id`, with which a demo or a test creates an object, and `GET` of the same; null for
 * other requests. `kind` is the collection in the provider's paths: `customers`, `charges`, `memberships`.
 */
export function answerObjectSetup(objects: ObjectStore, method: string, path: string, body: Buffer): Reply | null {
  if (!path.startsWith("/__objects/")) return null
  const [, kind, id] = OBJECT_PATH.exec(path) ?? []
  if (kind === undefined || id === undefined) return jsonReply({ error: "PUT or GET /__objects/:kind/:id" }, 404)
  if (method === "GET") {
    const object = objects.get(kind, decodeURIComponent(id))
    return object ? jsonReply(object) : jsonReply({ error: "not created" }, 404)
  }
  if (method !== "PUT") return jsonReply({ error: "PUT or GET only" }, 405)
  const value = parseObject(body)
  return value
    ? jsonReply(objects.put(kind, { ...value, id: decodeURIComponent(id) }))
    : jsonReply({ error: "body is not a JSON object" }, 400)
}

/** The object in a JSON body; null when there is none. */
export function parseObject(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"))
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
