/**
 * A real Postgres on one connection. A schedule is one transaction that is rolled back at its end, and every request of the
 * Worker a savepoint in it, so that an empty database costs nothing. Requests are therefore sequential; concurrent
 * transactions are tested by `interleavings`.
 */
import pg from "pg"
import { jsonReply, type Reply, type StandInRequest, textReply } from "../../../local/faults.ts"
import { errorBody, requestBody, run } from "../../../local/postgres/neon-proxy.ts"

/** A savepoint to roll back to. */
export interface Savepoint {
  readonly name: string
}

/** Executed statements of the Worker, for the invariants. */
export interface Executed {
  readonly queries: readonly { readonly query: string; readonly params: readonly unknown[] }[]
  readonly isDone: boolean
}

/** Aborted transactions leave dead rows; after so many schedules large tables are truncated. */
const SCHEDULES_BETWEEN_CLEANINGS = 50

/** Values are returned as Postgres' text, like by the proxy. */
export class Database {
  readonly #client: pg.Client
  readonly #names = new Map<string, string>()
  #savepoints = 0
  #schedules = 0
  #isOpen = false

  private constructor(client: pg.Client) {
    this.#client = client
  }

  static async connect(adminUrl: string): Promise<Database> {
    // All statements of a request are sent at once; the package's types lack the option.
    const options: pg.ClientConfig & { readonly pipeline: true } = { connectionString: adminUrl, pipeline: true }
    const client = new pg.Client(options)
    await client.connect()
    return new Database(client)
  }

  /** Begins a schedule in an empty database; `patches` change the schema until its end. */
  async begin(patches: readonly string[] = []): Promise<void> {
    if (this.#isOpen) await this.rollback()
    if (this.#schedules++ % SCHEDULES_BETWEEN_CLEANINGS === 0) await this.#client.query(TRUNCATE_LARGE)
    await this.#client.query(["BEGIN", ...patches, "SAVEPOINT request", "SET ROLE churn_worker"].join(";\n"))
    this.#isOpen = true
  }

  /** Ends a schedule and rolls it back. */
  async rollback(): Promise<void> {
    await this.#client.query("ROLLBACK; RESET ROLE")
    this.#isOpen = false
  }

  /** Executes one request of Neon's protocol as the Worker's role: atomically, and without settings of another request. */
  async answer(req: StandInRequest, body: Buffer, number: number, note: (executed: Executed) => void): Promise<Reply> {
    const parsed = requestBody.safeParse(JSON.parse(body.toString("utf8")))
    if (!parsed.success) return jsonReply({ message: "not a query or a batch of queries" }, 400)
    const arrayMode = req.headers["neon-array-mode"] === "true"
    const queries = "queries" in parsed.data ? parsed.data.queries : [parsed.data]
    // The savepoint of the previous request is released here, which saves a round trip; after an error the rest is not executed.
    // One write to the socket for all of them.
    this.#client.connection.stream.cork()
    const began = this.#client.query(
      `RELEASE SAVEPOINT request;
       SET LOCAL app.company_id = '';
       SET LOCAL simulation.effect = '${number}';
       SAVEPOINT request`,
    )
    const under = queries.map((query) => run(this.#client, query, arrayMode, this.#nameOf(query.query)))
    this.#client.connection.stream.uncork()
    const outcomes = await Promise.allSettled([began, ...under])
    const failure = outcomes.find((outcome) => outcome.status === "rejected")
    note({ queries, isDone: failure === undefined })
    if (failure === undefined) {
      const results = outcomes.slice(1).map((outcome) => (outcome.status === "fulfilled" ? outcome.value : null))
      return jsonReply("queries" in parsed.data ? { results } : results[0])
    }
    await this.#client.query("ROLLBACK TO SAVEPOINT request")
    const error: unknown = failure.reason
    if (error instanceof pg.DatabaseError) return jsonReply(errorBody(error), 400)
    return textReply(`connection to Postgres failed: ${String(error)}`, 500)
  }

  /** Statements are prepared once for all runs, because planning is most of their cost. */
  #nameOf(query: string): string {
    const known = this.#names.get(query)
    if (known !== undefined) return known
    const name = `statement_${this.#names.size}`
    this.#names.set(query, name)
    return name
  }

  /** Reads without row-level security; for the simulator only. */
  async read<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    // Prepared and in one write, because planning costs many times the execution.
    this.#client.connection.stream.cork()
    const all = Promise.all([
      this.#client.query("RESET ROLE"),
      this.#client.query<Row>({ name: this.#nameOf(text), text, values: [...values] }),
      this.#client.query("SET ROLE churn_worker"),
    ])
    this.#client.connection.stream.uncork()
    const [, result] = await all
    return result.rows
  }

  /** Reads one row without parameters. */
  async readOne<Row extends pg.QueryResultRow>(text: string): Promise<Row> {
    const [row] = await this.read<Row>(text)
    if (row === undefined) throw new Error("the query returned no row")
    return row
  }

  /** Runs statements without parameters as the owner of all tables. */
  async execute(statements: string): Promise<void> {
    await this.#client.query(`RESET ROLE; ${statements}; SET ROLE churn_worker`)
  }

  /** A state to roll back to, any number of times. */
  async savepoint(): Promise<Savepoint> {
    const name = `savepoint_${this.#savepoints++}`
    await this.#client.query(`SAVEPOINT ${name}; SAVEPOINT request`)
    return { name }
  }

  async rollbackTo({ name }: Savepoint): Promise<void> {
    await this.#client.query(`ROLLBACK TO SAVEPOINT ${name}; SAVEPOINT request`)
  }

  async close(): Promise<void> {
    if (this.#isOpen) await this.rollback()
    await this.#client.end()
  }
}

/** Small tables are kept: a truncated one costs milliseconds for its new files and the statements that are planned again. */
const TRUNCATE_LARGE = `DO $$ DECLARE names text; BEGIN
  SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') INTO names FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'simulation') AND c.relkind = 'r' AND pg_relation_size(c.oid) > 131072;
  IF names IS NOT NULL THEN EXECUTE 'TRUNCATE ' || names || ' CASCADE'; END IF;
END $$`

/**
 * What the simulator adds to a database, in its own schema: partitions for the months of its runs, and a history of changed
 * rows, each with the number of the request that changed it.
 */
export const PREPARE: readonly string[] = [
  `DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT i.inhrelid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE c.relispartition AND c.relkind = 'r' AND c.relname NOT LIKE '%default' LOOP
      EXECUTE 'DROP TABLE ' || name;
    END LOOP;
    PERFORM ensure_partitions('2026-10-01', 3);
  END $$`,
  // Dead rows are truncated, and statistics of empty tables are useless.
  "ALTER SYSTEM SET autovacuum = off",
  "SELECT pg_reload_conf()",
  `CREATE SCHEMA simulation;
  CREATE UNLOGGED TABLE simulation.history (
    effect integer NOT NULL, kind text NOT NULL, company_id text, id text, body jsonb NOT NULL
  );
  CREATE FUNCTION simulation.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
  BEGIN
    INSERT INTO simulation.history VALUES (
      coalesce(nullif(current_setting('simulation.effect', true), ''), '0')::integer,
      TG_ARGV[0], NEW.company_id, NEW.id, to_jsonb(NEW)
    );
    RETURN NULL;
  END $$;
  CREATE TRIGGER note AFTER INSERT ON facts FOR EACH ROW EXECUTE FUNCTION simulation.note('fact');
  CREATE TRIGGER note_insert AFTER INSERT ON nudges FOR EACH ROW EXECUTE FUNCTION simulation.note('nudge');
  CREATE TRIGGER note_update AFTER UPDATE ON nudges FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION simulation.note('nudge');`,
]
