/** Small parts that pages share. */
import { type Child, createContext, type FC, useContext } from "hono/jsx"
import { PROVIDER_NAMES } from "../../../shared/domain/companies/onboarding.ts"
import { dateTime, relativeTime, type Viewer } from "../viewer.ts"

/** A status as a word with a colour; the word alone carries the meaning. */
export const Badge: FC<{ readonly tone?: Tone; readonly children?: Child }> = ({ tone = "plain", children }) => (
  <span class={`badge ${tone}`}>{children}</span>
)

export type Tone = "plain" | "good" | "warn" | "bad" | "info"

const RISK_TONES: Readonly<Record<string, Tone>> = { low: "good", medium: "warn", high: "bad", critical: "bad" }

export const Risk: FC<{ readonly level: string | undefined }> = ({ level }) =>
  level === undefined ? <span>–</span> : <Badge tone={RISK_TONES[level] ?? "plain"}>{level}</Badge>

/** A point in time, relative to now, with the exact time on hover and for screen readers. */
export const Time: FC<{ readonly viewer: Viewer; readonly at: string | null; readonly now?: Date }> = ({
  viewer,
  at,
  now,
}) =>
  at === null ? (
    <span>–</span>
  ) : (
    <time datetime={at} title={dateTime(viewer, at)}>
      {now === undefined ? dateTime(viewer, at) : relativeTime(viewer, at, now)}
    </time>
  )

/** A figure with its label, and a line that says what it is of. */
export const Figure: FC<{
  readonly label: string
  readonly value: Child
  readonly note?: Child
  readonly tone?: Tone
}> = ({ label, value, note, tone = "plain" }) => (
  <div class={`figure ${tone}`}>
    <dt>{label}</dt>
    <dd>
      <span class="value">{value}</span>
      {note !== undefined && <small>{note}</small>}
    </dd>
  </div>
)

export const Heading: FC<{ readonly title: string; readonly lead?: Child; readonly children?: Child }> = ({
  title,
  lead,
  children,
}) => (
  <div class="heading">
    <div>
      <h1>{title}</h1>
      {lead !== undefined && <p class="lead">{lead}</p>}
    </div>
    {children !== undefined && <div class="actions">{children}</div>}
  </div>
)

export const Panel: FC<{ readonly title: string; readonly note?: Child; readonly children?: Child }> = ({
  title,
  note,
  children,
}) => (
  <section class="panel">
    <h2>{title}</h2>
    {note !== undefined && <p class="note">{note}</p>}
    {children}
  </section>
)

/**
 * A region that shows changes without a reload, on a page of `showLive`. It is exchanged as a whole, unless somebody works in it.
 * With a case, only changes of that case matter to the page; a page that costs much is loaded only every so many seconds.
 */
export const Live: FC<{
  readonly name: string
  readonly caseId?: string
  readonly everySeconds?: number
  readonly children?: Child
}> = ({ name, caseId, everySeconds, children }) => (
  <div class="live" data-live={name} data-live-case={caseId} data-live-every={everySeconds}>
    {children}
  </div>
)

/** The company that a page shows. */
export const CompanyOfPage = createContext("")

/** The field in which a form carries the company of its page. */
export const COMPANY_FIELD = "company"

/**
 * A form that changes something of the company that the page shows. It carries that company: an operator may have chosen
 * another one since, in another tab.
 */
export const PostForm: FC<{
  readonly action?: string
  readonly class?: string
  readonly id?: string
  /** For a form with a file. */
  readonly enctype?: "multipart/form-data"
  readonly children?: Child
}> = ({ children, ...attributes }) => (
  <form method="post" {...attributes}>
    <input type="hidden" name={COMPANY_FIELD} value={useContext(CompanyOfPage)} />
    {children}
  </form>
)

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => Child
  /** Numbers are set to the right. */
  readonly isNumber?: boolean
  /** A link that sorts the list by this column. */
  readonly sort?: SortLink | undefined
}

/** Where a list is sorted by a column; `current` is how it is sorted by it now. */
export interface SortLink {
  readonly href: string
  readonly current: "ascending" | "descending" | null
}

/** A table of rows; `empty` is said where there are none. */
export function Table<Row>({
  caption,
  columns,
  rows,
  empty,
}: {
  readonly caption: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly empty: string
}) {
  if (rows.length === 0) return <p class="empty">{empty}</p>
  return (
    // Reachable by keyboard, because it scrolls sideways on narrow screens.
    <section class="scroll" aria-label={caption} tabindex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ title, isNumber, sort }) => (
              <th scope="col" class={isNumber ? "number" : undefined} aria-sort={sort?.current ?? undefined}>
                {sort === undefined ? title : <a href={sort.href}>{title}</a>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {columns.map(({ cell, isNumber }) => (
                <td class={isNumber ? "number" : undefined}>{cell(row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** Links to the first and the next page of a list, with its filters kept. */
export const Pager: FC<{
  readonly path: string
  readonly query: Readonly<Record<string, string | undefined>>
  readonly nextCursor: string | null
  /** The page has fewer rows than fit: of many, a page searches a part for those that match. */
  readonly isShort?: boolean
}> = ({ path, query, nextCursor, isShort = false }) => {
  const isFirst = query.cursor === undefined
  if (isFirst && nextCursor === null) return null
  const { cursor: _, ...filters } = query
  return (
    <nav class="pager" aria-label="Pages of the list">
      {isShort && nextCursor !== null && <span>Not all rows are searched yet.</span>}
      {!isFirst && <a href={pathWith(path, filters)}>First page</a>}
      {nextCursor !== null && (
        <a rel="next" href={pathWith(path, { ...filters, cursor: nextCursor })}>
          {isShort ? "Search on" : "Next page"}
        </a>
      )}
    </nav>
  )
}

/** Rows of an exported file; the last line of one that lacks rows says where the others are. */
export const EXPORT_ROWS_MAX = 8_000

/** Downloads the list with its filters. */
export const ExportLink: FC<{
  readonly path: string
  /** Where a page has several lists. */
  readonly what?: string
  readonly query?: Readonly<Record<string, string | undefined>>
}> = ({ path, what, query: { cursor: _, ...filters } = {} }) => (
  <span class="export">
    <a class="button quiet" href={pathWith(`${path}/export`, filters)} download>
      Export {what && `${what} `}as CSV
    </a>{" "}
    <small>up to {EXPORT_ROWS_MAX / 1000},000 rows a file</small>
  </span>
)

/** A path with a query; undefined and empty values are left out. */
export function pathWith(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") search.set(name, value)
  const text = search.toString()
  return text === "" ? path : `${path}?${text}`
}

/** A choice among named values; the empty one means all. */
export const Choice: FC<{
  readonly name: string
  readonly label: string
  readonly value: string | undefined
  readonly options: readonly (readonly [value: string, label: string])[]
  readonly all?: string
}> = ({ name, label, value, options, all = "All" }) => (
  <label>
    {label}
    <select name={name}>
      <option value="">{all}</option>
      {options.map(([option, text]) => (
        <option value={option} selected={option === value}>
          {text}
        </option>
      ))}
    </select>
  </label>
)

const PROVIDER_OPTIONS = Object.entries(PROVIDER_NAMES)

/** A filter by provider. */
export const ProviderChoice: FC<{ readonly value: string | undefined }> = ({ value }) => (
  <Choice name="provider" label="Provider" value={value} options={PROVIDER_OPTIONS} />
)

/** One of the providers, in a form. */
export const ProviderField: FC = () => (
  <label>
    Provider
    <select name="provider">
      {PROVIDER_OPTIONS.map(([option, text]) => (
        <option value={option}>{text}</option>
      ))}
    </select>
  </label>
)
