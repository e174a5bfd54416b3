DROP FUNCTION ledger_page(customers, boolean, jsonb, integer);
--> statement-breakpoint
-- The next facts of a customer in ledger order, at most `p_limit` (null: 2000): `facts` are those after `p_after` (null:
-- from the beginning; `p_is_whole`: with the facts of objects and our own actions); `next` is the position after which the next page starts, null on the last page. See `ledger_facts`.
CREATE OR REPLACE FUNCTION ledger_page(
  p_customer customers, p_is_whole boolean, p_after jsonb, p_limit integer
)
RETURNS json LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off AS $$
DECLARE
  -- Not as fields of the row in the query: then each page reads the whole ledger.
  v_company text := p_customer.company_id;
  v_provider text := p_customer.provider;
  v_subject text := p_customer.provider_customer_id;
  v_at timestamptz := coalesce((p_after ->> 'occurredAt')::timestamptz, '-infinity');
  v_rank smallint := coalesce((p_after ->> 'rank')::smallint, -1);
  v_id text := coalesce(p_after ->> 'id', '');
  v_limit integer := coalesce(p_limit, 2000);
  v_facts json;
  v_next json;
BEGIN
  -- One more than the page holds, to know whether there is another.
  SELECT
    json_agg(
      json_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body, 'knownAt', f.known_at) ORDER BY f.place
    ) FILTER (WHERE f.place <= v_limit),
    CASE WHEN count(*) > v_limit THEN json_agg(
      json_build_object('occurredAt', f.occurred_at, 'rank', f.rank, 'id', f.id)
    ) FILTER (WHERE f.place = v_limit) -> 0 END
    INTO v_facts, v_next
    FROM (
      SELECT l.*, row_number() OVER () AS place FROM ledger_facts(
        v_company, v_provider, v_subject, p_is_whole, p_is_whole, v_at, v_rank, v_id, v_limit + 1
      ) AS l
    ) AS f;
  RETURN json_build_object('facts', coalesce(v_facts, '[]'), 'next', v_next);
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION ledger_page(customers, boolean, jsonb, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION ledger_page(customers, boolean, jsonb, integer) TO churn_worker;
--> statement-breakpoint
DROP FUNCTION read_facts(text, integer, boolean, jsonb);
--> statement-breakpoint
-- A further page of a customer's facts, after `p_after`, in the form of `ledger_page`. Raises
-- CS001 when the customer no longer has the version of the first page: pages of two versions must not be combined, and
-- the caller reads again.
CREATE OR REPLACE FUNCTION read_facts(p_customer_id text, p_version integer, p_is_whole boolean, p_after jsonb)
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_customer customers;
BEGIN
  SELECT * INTO v_customer FROM customers c WHERE c.company_id = app_company() AND c.id = p_customer_id;
  IF v_customer.version IS DISTINCT FROM p_version THEN
    RAISE EXCEPTION 'the customer has another version' USING ERRCODE = 'CS001';
  END IF;
  RETURN ledger_page(v_customer, p_is_whole, p_after, NULL);
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION read_facts(text, integer, boolean, jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION read_facts(text, integer, boolean, jsonb) TO churn_worker;
--> statement-breakpoint
-- Everything that fold and decide need of some customers, a list with one element for each that exists. By default only
-- the facts that the snapshot does not contain yet; the whole ledger, with the facts of all objects that were linked to
-- the customer, where `p_are_whole` says so, where there is no snapshot, and where the customer's earliest new fact
-- (`p_times`, `p_ranks`, `p_facts`; null: there is none) is before the position of the snapshot. Where it is so within the
-- instant of the position, the facts of that instant (`isFromInstant`), which are folded after `undo`.
-- `facts` is the first page; `next` is where `read_facts` continues, null when there is no other page.
--
-- One statement, so that the positions and the facts after them are read in the same database snapshot.
CREATE OR REPLACE FUNCTION read_streams(
  p_customers text[], p_are_whole boolean[], p_times timestamptz[], p_ranks smallint[], p_facts text[]
) RETURNS json LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_company text := app_company();
BEGIN
  RETURN (
    SELECT coalesce(json_agg(json_build_object(
      'customer', json_build_object(
        'id', c.id, 'provider', c.provider, 'providerCustomerId', c.provider_customer_id, 'version', c.version,
        'createdAt', c.created_at
      ),
      'state', c.state,
      'isWhole', read.is_whole OR read.is_from_instant AND ledger.count > 2000,
      'isFromInstant', read.is_from_instant AND ledger.count <= 2000,
      'undo', CASE WHEN snapshot.has_undo THEN c.undo - 'version' END,
      'facts', CASE WHEN long.page IS NULL THEN coalesce(ledger.facts, '[]') ELSE long.page -> 'facts' END,
      'next', long.page -> 'next',
      'nudges', (
        SELECT coalesce(json_agg(json_build_object(
          'id', n.id, 'caseId', n.case_id, 'step', n.step, 'channel', n.channel, 'status', n.status, 'reason', n.reason,
          'incentive', n.incentive, 'dueAt', n.due_at, 'attempts', n.attempts, 'sentAt', n.sent_at
        ) ORDER BY n.id), '[]')
        FROM (
          SELECT * FROM nudges m WHERE m.company_id = v_company AND m.customer_id = c.id
          ORDER BY m.due_at DESC, m.id LIMIT 2000
        ) AS n
      ),
      'companyName', (SELECT o.name FROM companies o WHERE o.id = v_company),
      'settings', (SELECT s.settings FROM company_settings s WHERE s.company_id = v_company),
      'contact', (
        SELECT encode(p.sealed, 'base64') FROM customer_pii p WHERE p.company_id = v_company AND p.customer_id = c.id
      ),
      'dataKey', (
        SELECT encode(k.wrapped, 'base64') FROM customer_keys k WHERE k.company_id = v_company AND k.customer_id = c.id
      )
    ) ORDER BY given.place), '[]')
    FROM unnest(p_customers, p_are_whole, p_times, p_ranks, p_facts)
      WITH ORDINALITY AS given (id, is_whole, occurred_at, rank, fact_id, place)
    CROSS JOIN LATERAL (
      SELECT * FROM customers k WHERE k.company_id = v_company AND k.id = given.id OFFSET 0
    ) AS c
    CROSS JOIN LATERAL (
      SELECT (s.position ->> 'occurredAt')::timestamptz AS occurred_at, (s.position ->> 'rank')::smallint AS rank,
        s.position ->> 'id' COLLATE "C" AS id, coalesce((c.undo ->> 'version')::integer = c.version, false) AS has_undo
      FROM (SELECT nullif(c.state -> 'position', 'null') AS position OFFSET 0) AS s OFFSET 0
    ) AS snapshot
    CROSS JOIN LATERAL (
      SELECT coalesce(
          (given.occurred_at, given.rank, given.fact_id COLLATE "C") <= (snapshot.occurred_at, snapshot.rank, snapshot.id),
          false
        ) AS is_late,
        -- Late within the instant of the position: the facts of that instant are enough.
        coalesce(given.occurred_at = snapshot.occurred_at, false) AND snapshot.has_undo AS is_in_instant OFFSET 0
    ) AS earliest
    CROSS JOIN LATERAL (
      SELECT given.is_whole OR snapshot.occurred_at IS NULL OR earliest.is_late AND NOT earliest.is_in_instant AS is_whole,
        NOT given.is_whole AND earliest.is_late AND earliest.is_in_instant AS is_from_instant OFFSET 0
    ) AS read
    CROSS JOIN LATERAL (
      SELECT CASE WHEN read.is_whole THEN '-infinity' ELSE snapshot.occurred_at END AS occurred_at,
        CASE WHEN read.is_whole OR read.is_from_instant THEN -1 ELSE snapshot.rank END::smallint AS rank,
        CASE WHEN read.is_whole OR read.is_from_instant THEN '' ELSE snapshot.id END AS id OFFSET 0
    ) AS start
    CROSS JOIN LATERAL (
      SELECT count(*) AS count,
        json_agg(json_build_object('id', l.id, 'occurredAt', l.occurred_at, 'body', l.body, 'knownAt', l.known_at)) AS facts
      FROM ledger_facts(
        v_company, c.provider, c.provider_customer_id, read.is_whole OR read.is_from_instant, read.is_whole,
        start.occurred_at, start.rank, start.id, 2001
      ) AS l
    ) AS ledger
    CROSS JOIN LATERAL (
      -- More facts in one instant than a page holds: the whole ledger.
      SELECT CASE WHEN ledger.count > 2000 THEN (
        SELECT ledger_page(
            k, read.is_whole OR read.is_from_instant,
            CASE WHEN NOT (read.is_whole OR read.is_from_instant) THEN k.state -> 'position' END, NULL
          ) FROM customers k WHERE k.company_id = v_company AND k.id = c.id
      ) END AS page OFFSET 0
    ) AS long
  );
END
$$;
--> statement-breakpoint
DROP FUNCTION read_ledgers(text[], jsonb, integer);
--> statement-breakpoint
-- The ledgers of customers in order of ids, about `p_limit` facts in total: the last one returned
-- may continue at `next`, and the customers after it are not returned. `p_after` is the `next` of the first customer,
-- whose earlier facts were read before.
CREATE OR REPLACE FUNCTION read_ledgers(p_customers text[], p_after jsonb, p_limit integer)
RETURNS TABLE (customer_id text, facts json, next json) LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_customer customers;
  v_after jsonb := p_after;
  v_left integer := p_limit;
  v_page json;
BEGIN
  FOR v_customer IN
    SELECT c.* FROM customers c WHERE c.company_id = app_company() AND c.id = ANY (p_customers) ORDER BY c.id COLLATE "C"
  LOOP
    EXIT WHEN v_left <= 0;
    v_page := ledger_page(v_customer, true, v_after, v_left);
    customer_id := v_customer.id;
    facts := v_page -> 'facts';
    next := CASE WHEN v_page ->> 'next' IS NOT NULL THEN v_page -> 'next' END;
    RETURN NEXT;
    v_left := v_left - json_array_length(facts);
    v_after := NULL;
  END LOOP;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION read_ledgers(text[], jsonb, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION read_ledgers(text[], jsonb, integer) TO churn_worker;
