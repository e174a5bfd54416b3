/** Holds what the API answers against its description: an undescribed field, status or form fails the test that saw it. */
import { DESCRIBED } from "../../../workers/reference/answers/all.ts"
import { problemDocument } from "../../../workers/reference/answers/common.ts"

const routes = Object.entries(DESCRIBED).map(([name, described]) => {
  const [method = "", path = ""] = name.split(" ")
  return { name, method, described, pattern: new RegExp(`^${path.replaceAll(/:[A-Za-z]+/g, "[^/]+")}/?$`) }
})

/** Throws unless an answer in JSON is what its route is described to answer. What no route is may answer a problem only. */
export function requireDescribed(method: string, target: string, response: Response, body: unknown): void {
  const path = target.split("?")[0] ?? ""
  const candidates = routes.filter((route) => route.method === method && route.pattern.test(path))
  // A fixed name comes before one that stands for any.
  const route = candidates.find(({ name }) => !name.includes(":")) ?? candidates[0]
  const answer = route?.described.answers[response.status]
  const schema = answer === undefined ? problemDocument : answer.schema
  if (schema === undefined) return
  const parsed = schema.safeParse(body)
  if (parsed.success) return
  const faults = parsed.error.issues.map(({ path: place, message }) => `${place.join(".")}: ${message}`).join("; ")
  throw new Error(
    `${method} ${path} answered ${response.status} with what its description does not say: ${faults}\n${JSON.stringify(body).slice(0, 2_000)}`,
  )
}
