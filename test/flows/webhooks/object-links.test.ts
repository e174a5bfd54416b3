/** Objects linked by concurrent deliveries end under one root, in any order of commits. */
import pg from "pg"
import { beforeEach, expect, test } from "vitest"
import { reset, sql, world } from "../../support/world/world.ts"

beforeEach(reset)

async function inTransaction(work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: world().postgresUrl })
  await client.connect()
  try {
    await client.query("begin")
    await client.query("select set_config('app.company_id', $1, true)", [world().companyId])
    await work(client)
    await client.query("commit")
  } finally {
    await client.end()
  }
}

const link = (client: pg.Client, customer: string | null, objects: readonly string[]): Promise<unknown> =>
  client.query("select * from tie_objects('stripe', $1, $2, now())", [customer, objects])

/** Long enough for a statement that does not wait. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300))

test("an object linked to a root that is being moved to its customer moves with it", async () => {
  await inTransaction((client) => link(client, null, ["ch_root", "pi_other"]).then(() => undefined))
  let second: Promise<void> = Promise.resolve()
  await inTransaction(async (client) => {
    await link(client, "cus_1", ["ch_root"])
    // Reads the root before the first session has committed.
    second = inTransaction((other) => link(other, null, ["pi_other", "dp_new"]).then(() => undefined))
    await pause()
  })
  await second
  expect(await sql("select object_id, root_id, is_customer from object_links order by 1")).toEqual([
    { object_id: "ch_root", root_id: "cus_1", is_customer: true },
    { object_id: "dp_new", root_id: "cus_1", is_customer: true },
    { object_id: "pi_other", root_id: "cus_1", is_customer: true },
  ])
})

test("deliveries without common objects do not wait for each other", async () => {
  await inTransaction(async (client) => {
    await link(client, null, ["ch_1", "pi_1"])
    await inTransaction((other) => link(other, null, ["ch_2", "pi_2"]).then(() => undefined))
  })
  const [row] = await sql("select count(distinct root_id)::int as roots from object_links")
  expect(row).toEqual({ roots: 2 })
})
