/** Companies, for operators. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { AppError } from "../../../platform/errors.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { act, type DashboardEnv, formOf, frameOf, show } from "../../page.tsx"
import { Badge, Heading, Panel, Table, Time } from "../../parts/parts.tsx"
import { keepCompany } from "../../session.ts"
import type { Viewer } from "../../viewer.ts"
import { SET_UP } from "./set-up.tsx"

const PATH = "/dashboard/companies"

export const companies = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const { data } = await c.get("ask")("GET /api/companies", { query: { limit: 200 } })
    return show(c, "Companies", PATH, <CompaniesPage {...frameOf(c)} companies={data} />)
  })
  .post("/", async (c) => {
    const { id = "", name, stripe = "", whop = "" } = await formOf(c)
    const accounts = [
      ...(stripe === "" ? [] : [{ provider: "stripe", accountId: stripe }]),
      ...(whop === "" ? [] : [{ provider: "whop", accountId: whop }]),
    ]
    return act(c, SET_UP, async () => {
      await c.get("ask")("POST /api/companies", { body: { id, name, accounts } })
      keepCompany(c, id)
      return "saved"
    })
  })
  .post("/:id/choose", async (c) => {
    const { closedAt } = await c.get("ask")("GET /api/companies/:id", { params: c.req.param() })
    // Its pages cannot be shown: others would be, under its name.
    if (closedAt !== null) throw new AppError("CONFLICT", "This company is closed.", { reason: "company_closed" })
    keepCompany(c, c.req.param("id"))
    return c.redirect("/dashboard", 303)
  })
  .post("/:id/close", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("POST /api/companies/:id/close", { params: c.req.param() })
      return "companyClosed"
    }),
  )
  .post("/:id/open", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("POST /api/companies/:id/open", { params: c.req.param() })
      return "companyOpened"
    }),
  )

type Company = AnswerOf<"GET /api/companies">["data"][number]

const CompaniesPage: FC<{ readonly viewer: Viewer; readonly companies: readonly Company[] }> = ({
  viewer,
  companies: all,
}) => (
  <>
    <Heading
      title="Companies"
      lead="The businesses that this deployment serves. You see the pages of the chosen one."
    />
    <Table
      caption="Companies"
      rows={all}
      empty="There is no company yet."
      columns={[
        { title: "Company", cell: ({ name }) => name },
        { title: "Id", cell: ({ id }) => <code>{id}</code> },
        {
          title: "Accounts",
          cell: ({ accounts }) =>
            accounts.map(({ provider, accountId }) => `${provider} ${accountId}`).join(", ") || "–",
        },
        { title: "Since", cell: ({ createdAt }) => <Time viewer={viewer} at={createdAt} /> },
        {
          title: "State",
          cell: ({ id, closedAt }) =>
            closedAt !== null ? (
              <Badge tone="warn">closed</Badge>
            ) : (
              <Badge tone="good">{id === viewer.principal.companyId ? "chosen" : "open"}</Badge>
            ),
        },
        {
          title: "Act",
          cell: ({ id, closedAt }) => (
            <div class="actions">
              {closedAt === null && (
                <form method="post" action={`${PATH}/${id}/choose`}>
                  <button class="quiet" type="submit">
                    Choose
                  </button>
                </form>
              )}
              {closedAt === null ? (
                <details>
                  <summary>Close</summary>
                  <form method="post" action={`${PATH}/${id}/close`}>
                    <p class="note">No messages and no jobs any more; deliveries are held for 30 days.</p>
                    <button class="danger" type="submit">
                      Close the company
                    </button>
                  </form>
                </details>
              ) : (
                <form method="post" action={`${PATH}/${id}/open`}>
                  <button class="quiet" type="submit">
                    Open again
                  </button>
                </form>
              )}
            </div>
          ),
        },
      ]}
    />
    {viewer.can("companies:write") && (
      <Panel title="Add a company">
        <form class="stack" method="post">
          <label>
            Id, in addresses and keys
            <input name="id" required pattern="[A-Za-z0-9_\-]{1,64}" />
          </label>
          <label>
            Name, as members see it
            <input name="name" required maxlength={80} />
          </label>
          <label>
            Stripe account (acct_…)
            <input name="stripe" pattern="acct_[A-Za-z0-9_]+" />
          </label>
          <label>
            Whop company (biz_…)
            <input name="whop" pattern="biz_[A-Za-z0-9_]+" />
          </label>
          <div>
            <button type="submit">Add</button>
          </div>
        </form>
      </Panel>
    )}
  </>
)
