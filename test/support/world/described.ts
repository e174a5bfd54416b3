/** Compares answers of the API with its description: an undescribed field, status or form fails the test. */
import { DESCRIBED } from "../../../workers/reference/answers/all.ts"
import { problemDocument } from "../../../workers/reference/answers/common.ts"

const routes = Object.entries(DESCRIBED).map(([name, described]) => {
  const [method = "", path = ""] = name.split(" ")
  return { name, method, described, pattern: new RegExp(`^${path.replaceAll(/:[A-Za-z]+/g, "[^/]+")}/?$`) }
})

/** Throws unless a JSON answer matches the description of its route. Without a route only a problem document is allowed. */
export function requireDescribed(method: string, target: string, response: Response, body: unknown): void {
  const path = target.split("?")[0] ?? ""
  const candidates = routes.filter((route) => route.method === method && route.pattern.test(path))
  // A fixed path takes precedence over a parameter.
  const route = candidates.find(({ name }) => !name.includes(":")) ?? candidates[0]
  const answer = route?.described.answers[response.status]
  const schema = answer === undefined ? problemDocument : answer.schema
  if (schema === undefined) return
  const parsed = schema.safeParse(body)
  if (parsed.success) return
  const faults = parsed.error.issues.map(({ path: place, message }) => `${place.join(".")}: ${message}`).join("; ")
  throw new Error(
    `${method} ${path} answered ${response.status} not as described: ${faults}\n${JSON.stringify(body).slice(0, 2_000)}`,
  )
}
