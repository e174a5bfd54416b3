/**
 * Keeps a page current. `data-live` marks a region by name; when a case has changed, the page is loaded again in the background
 * and its regions are replaced. A region in use stays as it is until the user leaves it. Without this script the
 * page is the same, and is loaded again by hand.
 */
const SOURCE = "/dashboard/changes"

/** Many changes at once are one load of the page. */
const WAIT_MS = 1_000

/** Between two loads of a page that does not say otherwise; one that costs more has `data-live-every`, in seconds. */
const EVERY_MS = 1_000 * Number(document.querySelector("[data-live-every]")?.dataset.liveEvery ?? 5)

/** Says when the page was exchanged, and names its company. */
const statusOf = (root) => root.querySelector("[data-live-status]")

/** The marked regions by name. */
const regions = (root) => new Map([...root.querySelectorAll("[data-live]")].map((one) => [one.dataset.live, one]))

/** Without a default a list of options has its first one. */
const isChanged = (field) =>
  field.options === undefined
    ? field.checked !== field.defaultChecked || field.value !== field.defaultValue
    : field.selectedIndex !==
      Math.max(
        0,
        [...field.options].findIndex(({ defaultSelected }) => defaultSelected),
      )

/** The region has the focus, a changed field, an open part, or selected text. */
const isInUse = (region) =>
  region.contains(document.activeElement) ||
  region.querySelector("details[open]") !== null ||
  [...region.querySelectorAll("input:not([type=hidden]), select, textarea")].some(isChanged) ||
  (!document.getSelection().isCollapsed && document.getSelection().containsNode(region, true))

let timer
let events
let isLate = false
let loadedAtMs = Number.NEGATIVE_INFINITY

/** Replaces the regions that are not in use. The others are replaced when the focus leaves them, or with the next change. */
async function refresh() {
  timer = undefined
  isLate = false
  loadedAtMs = performance.now()
  const response = await fetch(location.href)
  if (!response.ok || response.redirected) return
  const page = new DOMParser().parseFromString(await response.text(), "text/html")
  // An operator may have chosen another company in another tab.
  if (statusOf(page)?.dataset.liveStatus !== statusOf(document).dataset.liveStatus) return
  const loaded = regions(page)
  let isUpdated = false
  for (const [name, region] of regions(document)) {
    const next = loaded.get(name)
    if (next === undefined || next.textContent === region.textContent) continue
    if (isInUse(region)) isLate = true
    else {
      region.replaceWith(document.adoptNode(next))
      isUpdated = true
    }
  }
  if (isUpdated) announce()
}

/** Said by screen readers when they have nothing else to say. */
function announce() {
  const time = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium" }).format(new Date())
  statusOf(document).textContent = `Updated at ${time}`
}

function schedule() {
  const waitMs = Math.max(WAIT_MS, loadedAtMs + EVERY_MS - performance.now())
  if (timer === undefined) timer = setTimeout(() => refresh().catch(() => undefined), waitMs)
}

/** An event without changes means that any case may have changed. */
function receive({ data }) {
  const changes = JSON.parse(data)
  const only = document.querySelector("[data-live-case]")?.dataset.liveCase
  if (changes.length === 0 || only === undefined || changes.some(({ caseId }) => caseId === only)) schedule()
}

function connect() {
  events = new EventSource(SOURCE)
  events.onmessage = receive
}

/** A hidden page reads nothing, and is loaded once when it is shown again. */
document.addEventListener("visibilitychange", () => {
  events?.close()
  if (document.hidden) return
  connect()
  schedule()
})

document.addEventListener("focusout", () => {
  if (isLate) schedule()
})

if (!document.hidden) connect()
