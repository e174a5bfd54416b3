/** The frame of every page: head, navigation, who is signed in, and what the last action did. */
import type { Child, FC } from "hono/jsx"
import type { Permission } from "../platform/http/auth.ts"
import { CompanyOfPage } from "./parts/parts.tsx"
import type { Viewer } from "./viewer.ts"

/** An entry of the navigation; shown to those who hold its permission. */
interface Entry {
  readonly path: string
  readonly name: string
  readonly permission: Permission
}

const NAVIGATION: readonly { readonly title: string; readonly entries: readonly Entry[] }[] = [
  {
    title: "Recovery",
    entries: [
      { path: "/dashboard", name: "Overview", permission: "summary:read" },
      { path: "/dashboard/cases", name: "Cases", permission: "cases:read" },
      { path: "/dashboard/customers", name: "Customers", permission: "customers:read" },
      { path: "/dashboard/messages", name: "Messages", permission: "cases:read" },
      { path: "/dashboard/templates", name: "Templates", permission: "settings:read" },
      { path: "/dashboard/branding", name: "Branding", permission: "settings:read" },
    ],
  },
  {
    title: "Retention",
    entries: [
      { path: "/dashboard/segments", name: "Segments", permission: "segments:read" },
      { path: "/dashboard/interventions", name: "Interventions", permission: "interventions:read" },
      { path: "/dashboard/models", name: "Models", permission: "models:read" },
    ],
  },
  {
    title: "Operations",
    entries: [
      { path: "/dashboard/events", name: "Events", permission: "events:read" },
      { path: "/dashboard/imports", name: "Imports", permission: "reconciliation:read" },
      { path: "/dashboard/jobs", name: "Jobs", permission: "jobs:read" },
      { path: "/dashboard/flags", name: "Flags and switches", permission: "flags:read" },
    ],
  },
  {
    title: "Company",
    entries: [
      { path: "/dashboard/set-up", name: "Set-up", permission: "companies:read" },
      { path: "/dashboard/settings", name: "Settings", permission: "settings:read" },
      { path: "/dashboard/credentials", name: "Credentials", permission: "secrets:read" },
      { path: "/dashboard/people", name: "People and keys", permission: "people:read" },
      { path: "/dashboard/companies", name: "Companies", permission: "companies:list" },
    ],
  },
]

/** The version in the address of the style sheet: browsers keep it for a year. */
export const STYLE_PATH = "/dashboard/app.css"

/** Exchanges the regions of a page when cases change. */
const LIVE_SCRIPT_PATH = "/dashboard/live.js"

interface PageProps {
  readonly title: string
  /** Absent: nobody is signed in. */
  readonly viewer?: Viewer
  /** The path of the navigation entry that the page belongs to. */
  readonly at?: string
  readonly notice?: Notice | null
  /** Its regions (`Live`) show changes without a reload. */
  readonly isLive?: boolean
  readonly children?: Child
}

/** What the last action did, or why it did nothing. */
export interface Notice {
  readonly kind: "done" | "refused"
  readonly text: string
}

export const Page: FC<PageProps> = ({ title, viewer, at, notice, isLive = false, children }) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="robots" content="noindex, nofollow" />
      <meta name="color-scheme" content="light dark" />
      <title>{`${title} · Churn Saver`}</title>
      <link rel="stylesheet" href={STYLE_PATH} />
      <link rel="icon" href="/dashboard/icon.svg" type="image/svg+xml" />
      {isLive && <script type="module" src={LIVE_SCRIPT_PATH} />}
    </head>
    <body class={viewer ? "app" : "alone"}>
      <a class="skip" href="#content">
        Skip to content
      </a>
      {viewer && <Sidebar viewer={viewer} at={at} />}
      <main id="content" tabindex={-1}>
        {notice && (
          <p class={`notice ${notice.kind}`} role={notice.kind === "refused" ? "alert" : "status"}>
            {notice.text}
          </p>
        )}
        {isLive && <p class="hidden" role="status" data-live-status={viewer?.principal.companyId} />}
        <CompanyOfPage.Provider value={viewer?.principal.companyId ?? ""}>{children}</CompanyOfPage.Provider>
      </main>
    </body>
  </html>
)

const Sidebar: FC<{ readonly viewer: Viewer; readonly at: string | undefined }> = ({ viewer, at }) => (
  <header class="sidebar">
    <p class="product">
      <a href="/dashboard">Churn Saver</a>
    </p>
    <nav aria-label="Pages">
      {NAVIGATION.map(({ title, entries }) => {
        const shown = entries.filter(({ permission }) => viewer.can(permission))
        return (
          shown.length > 0 && (
            <section>
              <h2>{title}</h2>
              <ul>
                {shown.map(({ path, name }) => (
                  <li>
                    <a href={path} aria-current={path === at ? "page" : undefined}>
                      {name}
                    </a>
                  </li>
                ))}
              </ul>
            </section>
          )
        )
      })}
    </nav>
    <div class="account">
      <p>
        <strong>{viewer.principal.companyId || "No company"}</strong>
        <br />
        <small>signed in as {viewer.principal.role}</small>
      </p>
      <form method="post" action="/dashboard/sign-out">
        <button class="quiet" type="submit">
          Sign out
        </button>
      </form>
    </div>
  </header>
)
