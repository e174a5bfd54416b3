-- Owner: churn_system
-- Callers: churn_system
-- Due nudges without a lease, of `p_companies` (null: all): round-robin over
-- companies, each company's oldest first, so that no company waits behind another's backlog. More than `p_limit` may be
-- returned; claim the first ones.
--
-- The oldest few thousand are read first; usually these are all. Only when there are more, each company's own oldest
-- are read by one index look-up, so that neither a backlog nor the nudges of a company that is switched off hide
-- others. Of more than 10 000 companies a different 10 000 are looked up each time.
CREATE OR REPLACE FUNCTION due_nudges(p_now timestamptz, p_due_before timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
-- The planner's statistics do not include a new backlog, so the plan is forced to read rows in index order up to the
-- limit.
SET plan_cache_mode = force_custom_plan SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
  WITH oldest AS MATERIALIZED (
    SELECT d.company_id, d.id, d.due_at FROM public.nudges d
    WHERE d.status IN ('planned', 'sending') AND d.due_at <= p_due_before
      AND (d.lease_until IS NULL OR d.lease_until <= p_now)
    ORDER BY d.due_at LIMIT greatest(2000, 4 * p_limit)
  ),
  looked_up AS MATERIALIZED (
    SELECT k.id FROM (
      SELECT c.id FROM public.companies c WHERE p_companies IS NULL
      UNION ALL
      SELECT w.id FROM unnest(p_companies) AS w (id)
    ) AS k
    WHERE (SELECT count(*) FROM oldest) = greatest(2000, 4 * p_limit)
    ORDER BY random() LIMIT 10000
  ),
  waiting AS MATERIALIZED (
    SELECT l.id AS company_id FROM looked_up l CROSS JOIN LATERAL (
      SELECT FROM public.nudges d
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
      SELECT d.company_id, d.id, d.due_at FROM public.nudges d
      WHERE d.status IN ('planned', 'sending') AND d.company_id = w.company_id AND d.due_at <= p_due_before
        AND (d.lease_until IS NULL OR d.lease_until <= p_now)
      ORDER BY d.due_at, d.id LIMIT (SELECT s.size FROM share s)
    ) AS p
  )
  SELECT c.company_id, c.id FROM candidates c
  ORDER BY row_number() OVER (PARTITION BY c.company_id ORDER BY c.due_at, c.id), c.due_at, c.id
$$;
