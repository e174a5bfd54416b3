/** The API reference as one page: no script, no external resource, and inline CSS with a nonce. */
import type { Context } from "hono"
import { html } from "hono/html"
import type { AppEnv } from "../platform/services.ts"

type Html = ReturnType<typeof html>

/** The parts of JSON Schema that the page shows. */
interface Schema {
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly pattern?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly description?: string
  readonly $ref?: string
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required: boolean
    readonly schema: Schema
  }[]
  readonly requestBody?: { readonly required: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>
}

const STYLE = `body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}
code{font-size:.9em;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2.5rem 0 .25rem;border-top:1px solid #ccd;padding-top:1rem}
h3{font-size:1rem;margin:1rem 0 .25rem}ul{padding-left:1.25rem;margin:.25rem 0}nav ul{columns:20rem;list-style:none;padding:0}
small{color:#556}@media(prefers-color-scheme:dark){body{background:#12161d;color:#e8ebf0}small{color:#aab}a{color:#9cf}}`

/** The page. `description` is the generated document, whose form its tests check. */
export function referencePage(c: Context<AppEnv>, description: unknown, headers: Record<string, string>) {
  const { paths, components } = description as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
    readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
  }
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  )
  const nonce = c.get("services").newId()
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Churn Saver API</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<h1>Churn Saver API</h1>
<p>Send a key as <code>Authorization: Bearer …</code>. Errors are problem documents (RFC 9457). For programs: <a href="/api/openapi.json">openapi.json</a>.</p>
<nav><ul>${operations.map(({ name, operation }) => html`<li><a href="#${operation.operationId}"><code>${name}</code></a></li>`)}</ul></nav>
${operations.map(({ name, operation }) => section(name, operation))}
<h2>Schemas</h2>
${Object.entries(components.schemas).map(([name, schema]) => html`<h3 id="${name}"><code>${name}</code></h3>${tree(schema)}`)}
</body>
</html>`
  return c.html(page, 200, {
    "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'`,
    ...headers,
  })
}

function section(name: string, { operationId, summary, description, parameters, requestBody, responses }: Operation) {
  return html`<section>
<h2 id="${operationId}"><code>${name}</code></h2>
<p>${summary}.${description === undefined ? "" : ` ${description.replaceAll("`", "")}`}</p>
${
  parameters &&
  html`<h3>Parameters</h3>
<ul>${parameters.map((one) => field(`${one.name} (${one.in})`, one.schema, one.required))}</ul>`
}
${requestBody && html`<h3>Body${requestBody.required ? "" : ", optional"}</h3>${contents(requestBody.content)}`}
${Object.entries(responses).map(
  ([status, answer]) =>
    html`<h3>${status === "default" ? "Otherwise" : status}: ${answer.description}</h3>${contents(answer.content ?? {})}`,
)}
</section>`
}

const contents = (content: Content): readonly Html[] =>
  Object.entries(content).map(
    ([type, { schema }]) => html`<p><small>${type}</small></p>${schema === undefined ? "" : tree(schema)}`,
  )

/** The fields of a schema, recursively; empty for a schema without fields. */
function tree(schema: Schema): Html | string {
  if (schema.$ref !== undefined) return html`<p>${link(schema.$ref)}</p>`
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].filter(isCompound)
  const required = schema.required ?? []
  const fields = Object.entries(schema.properties ?? {})
  return html`${fields.length > 0 ? html`<ul>${fields.map(([name, one]) => field(name, one, required.includes(name)))}</ul>` : ""}
${schema.items === undefined ? "" : tree(schema.items)}
${alternatives.length > 1 ? html`<p><small>one of:</small></p><ul>${alternatives.map((one) => html`<li>${tree(one)}</li>`)}</ul>` : alternatives.map(tree)}`
}

const isCompound = ({ $ref, properties, items, anyOf, oneOf, allOf }: Schema): boolean =>
  ($ref ?? properties ?? items ?? anyOf ?? oneOf ?? allOf) !== undefined

const field = (name: string, schema: Schema, isRequired: boolean): Html =>
  html`<li><code>${name}</code> <small>${typeOf(schema)}${isRequired ? "" : ", optional"}</small> ${schema.description ?? ""}${tree(schema)}</li>`

const link = (ref: string): Html => {
  const name = ref.replace("#/components/schemas/", "")
  return html`<a href="#${name}"><code>${name}</code></a>`
}

/** The type of a field and its bounds. */
function typeOf(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ")
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  const alternatives = schema.anyOf ?? schema.oneOf
  if (alternatives !== undefined) return [...new Set(alternatives.map(typeOf))].join(" | ")
  const type = [schema.type ?? (schema.$ref === undefined ? "anything" : "object")].flat().join(" | ")
  const bounds = [
    schema.format,
    schema.minimum === undefined ? undefined : `from ${schema.minimum}`,
    // The largest integers are the bounds of JSON, not ours.
    schema.maximum === undefined || schema.maximum >= Number.MAX_SAFE_INTEGER ? undefined : `to ${schema.maximum}`,
    schema.maxLength === undefined ? undefined : `at most ${schema.maxLength} characters`,
    schema.maxItems === undefined ? undefined : `at most ${schema.maxItems}`,
    schema.default === undefined ? undefined : `default ${JSON.stringify(schema.default)}`,
  ].filter((bound) => bound !== undefined)
  const inner = schema.type === "array" && schema.items !== undefined ? ` of ${typeOf(schema.items)}` : ""
  return `${type}${inner}${bounds.length > 0 ? `, ${bounds.join(", ")}` : ""}`
}
