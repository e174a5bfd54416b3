-- Switches and feature flags: the copy of what lies in Redis, and who changed what and why. They are the deployment's and
-- belong to no tenant.
CREATE TABLE flags (
  name text PRIMARY KEY,
  value jsonb NOT NULL,
  -- Orders changes in both stores alike: milliseconds of the change, raised above every one before it; then change_id.
  revision bigint NOT NULL,
  change_id uuid NOT NULL,
  updated_at timestamptz NOT NULL,
  updated_by text NOT NULL,
  reason text
);
--> statement-breakpoint
-- Only ever appended to. `before` is null while nobody had set the flag.
CREATE TABLE flag_changes (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  before jsonb,
  after jsonb NOT NULL,
  who text NOT NULL,
  why text,
  at timestamptz NOT NULL,
  revision bigint NOT NULL
);
--> statement-breakpoint
-- The changes of one flag, newest first.
CREATE INDEX flag_changes_by_age ON flag_changes (name, at DESC, id DESC);
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON flags TO churn_worker;
--> statement-breakpoint
GRANT SELECT, INSERT ON flag_changes TO churn_worker;
--> statement-breakpoint
-- Due work of one company, oldest first.
CREATE INDEX nudges_due_by_company ON nudges (company_id, due_at, id) WHERE status IN ('planned', 'sending');
--> statement-breakpoint
-- Unfinished events of one company in the order in which they are to be taken: a held one by its arrival, any other when
-- its next try is due.
CREATE INDEX webhook_events_unfinished_by_company
  ON webhook_events (company_id, (coalesce(next_attempt_at, received_at)), received_at, id)
  WHERE status IN ('received', 'failed', 'held');
--> statement-breakpoint
-- All companies, for those who must say which of them a switch is on for.
CREATE FUNCTION company_ids() RETURNS TABLE (id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT c.id FROM companies c
$$;
--> statement-breakpoint
-- Due nudges that nobody holds: of `p_companies` only, unless that is null, and in turns, each company's oldest first, so
-- that no company waits behind another's flood. More than `p_limit` may be answered; the first are the ones to take.
--
-- The oldest few thousand are looked at first, and usually that is all there is. Only when there are more, each company's
-- own oldest are looked up by one probe of an index, so that neither a flood nor what waits for a company that is switched
-- off hides anybody. Of more than 10 000 companies a different 10 000 are probed each time.
CREATE FUNCTION due_nudges(p_now timestamptz, p_due_before timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
-- A flood is younger than the statistics; whatever they say, rows are read in the order of an index and no more than asked.
SET plan_cache_mode = force_custom_plan SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
  WITH oldest AS MATERIALIZED (
    SELECT d.company_id, d.id, d.due_at FROM nudges d
    WHERE d.status IN ('planned', 'sending') AND d.due_at <= p_due_before
      AND (d.lease_until IS NULL OR d.lease_until <= p_now)
    ORDER BY d.due_at LIMIT greatest(2000, 4 * p_limit)
  ),
  looked_up AS MATERIALIZED (
    SELECT k.id FROM (
      SELECT c.id FROM companies c WHERE p_companies IS NULL
      UNION ALL
      SELECT w.id FROM unnest(p_companies) AS w (id)
    ) AS k
    WHERE (SELECT count(*) FROM oldest) = greatest(2000, 4 * p_limit)
    ORDER BY random() LIMIT 10000
  ),
  waiting AS MATERIALIZED (
    SELECT l.id AS company_id FROM looked_up l CROSS JOIN LATERAL (
      SELECT FROM nudges d
      WHERE d.status IN ('planned', 'sending') AND d.company_id = l.id AND d.due_at <= p_due_before
        AND (d.lease_until IS NULL OR d.lease_until <= p_now)
      ORDER BY d.due_at, d.id LIMIT 1
    ) AS any_due
  ),
  share AS MATERIALIZED (SELECT ceil(20.0 * p_limit / greatest(count(*), 1))::integer AS size FROM waiting),
  candidates AS (
    SELECT o.company_id, o.id, o.due_at FROM oldest o
    WHERE p_companies IS NULL OR o.company_id = ANY (p_companies)
    UNION
    SELECT p.company_id, p.id, p.due_at FROM waiting w CROSS JOIN LATERAL (
      SELECT d.company_id, d.id, d.due_at FROM nudges d
      WHERE d.status IN ('planned', 'sending') AND d.company_id = w.company_id AND d.due_at <= p_due_before
        AND (d.lease_until IS NULL OR d.lease_until <= p_now)
      ORDER BY d.due_at, d.id LIMIT (SELECT s.size FROM share s)
    ) AS p
  )
  SELECT c.company_id, c.id FROM candidates c
  ORDER BY row_number() OVER (PARTITION BY c.company_id ORDER BY c.due_at, c.id), c.due_at, c.id
$$;
--> statement-breakpoint
-- Takes due nudges for `p_owner` until `p_until`, each by one worker at most, in the order of `due_nudges`. A nudge in
-- `sending` whose lease has run out is taken too: its worker was lost on the way. Rows are locked one by one by their key,
-- and judged again under the lock.
CREATE FUNCTION claim_due_nudges(
  p_now timestamptz, p_due_before timestamptz, p_owner text, p_until timestamptz, p_limit integer, p_companies text[]
)
RETURNS TABLE (company_id text, id text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  v_taken integer := 0;
  v_next record;
  v_now record;
BEGIN
  FOR v_next IN SELECT d.company_id, d.id FROM due_nudges(p_now, p_due_before, p_limit, p_companies) AS d LOOP
    EXIT WHEN v_taken = p_limit;
    -- By the key alone: with more to go by, a plan could prefer an index that holds the whole flood.
    SELECT n.status, n.due_at, n.lease_until INTO v_now FROM nudges n
      WHERE n.company_id = v_next.company_id AND n.id = v_next.id
      FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND OR v_now.status NOT IN ('planned', 'sending') OR v_now.due_at > p_due_before
      OR v_now.lease_until > p_now;
    UPDATE nudges n SET lease_owner = p_owner, lease_until = p_until
      WHERE n.company_id = v_next.company_id AND n.id = v_next.id;
    v_taken := v_taken + 1;
    company_id := v_next.company_id;
    id := v_next.id;
    RETURN NEXT;
  END LOOP;
END
$$;
--> statement-breakpoint
-- Events that were recorded but not finished: of `p_companies` only, unless that is null, and in turns, each company's
-- in the order of their arrival or, once a try has failed, of their next try. Only companies with unfinished events are
-- walked, one probe of an index each, and of each no more is read than could be answered. Should more than 10 000 have
-- some at once, the others follow as these are finished.
CREATE FUNCTION unfinished_events(p_now timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
SET plan_cache_mode = force_custom_plan SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
  WITH RECURSIVE walked (company_id, take_at, n) AS (
    (
      SELECT e.company_id, coalesce(e.next_attempt_at, e.received_at), 1 FROM webhook_events e
      WHERE e.status IN ('received', 'failed', 'held')
      ORDER BY e.company_id, coalesce(e.next_attempt_at, e.received_at) LIMIT 1
    )
    UNION ALL
    SELECT f.company_id, f.take_at, w.n + 1 FROM walked w CROSS JOIN LATERAL (
      SELECT e.company_id, coalesce(e.next_attempt_at, e.received_at) AS take_at FROM webhook_events e
      WHERE e.status IN ('received', 'failed', 'held') AND e.company_id > w.company_id
      ORDER BY e.company_id, coalesce(e.next_attempt_at, e.received_at) LIMIT 1
    ) AS f
    WHERE w.n < 10000
  ),
  waiting AS MATERIALIZED (
    SELECT w.company_id FROM walked w
    WHERE w.take_at <= p_now AND (p_companies IS NULL OR w.company_id = ANY (p_companies))
  ),
  share AS MATERIALIZED (SELECT ceil(20.0 * p_limit / greatest(count(*), 1))::integer AS size FROM waiting)
  SELECT p.company_id, p.id FROM waiting w CROSS JOIN LATERAL (
    SELECT e.company_id, e.id, coalesce(e.next_attempt_at, e.received_at) AS take_at, e.received_at FROM webhook_events e
    WHERE e.status IN ('received', 'failed', 'held') AND e.company_id = w.company_id
      AND coalesce(e.next_attempt_at, e.received_at) <= p_now
    ORDER BY coalesce(e.next_attempt_at, e.received_at), e.received_at, e.id LIMIT (SELECT s.size FROM share s)
  ) AS p
  ORDER BY row_number() OVER (PARTITION BY p.company_id ORDER BY p.take_at, p.received_at, p.id), p.take_at, p.id
  LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION company_ids() OWNER TO churn_system;
  ALTER FUNCTION due_nudges(timestamptz, timestamptz, integer, text[]) OWNER TO churn_system;
  ALTER FUNCTION claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer, text[]) OWNER TO churn_system;
  ALTER FUNCTION unfinished_events(timestamptz, integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION
  company_ids(), due_nudges(timestamptz, timestamptz, integer, text[]),
  claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer, text[]),
  unfinished_events(timestamptz, integer, text[])
FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION
  company_ids(), claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer, text[]),
  unfinished_events(timestamptz, integer, text[])
TO churn_worker;
