-- Owner: churn_system
-- Callers: churn_worker
-- Planned, unclaimed nudges that are due after `p_now` and by `p_until`, in
-- the order of `due_nudges`. They are read, not claimed: publishing them to QStash ahead of time needs no claim.
CREATE OR REPLACE FUNCTION upcoming_nudges(p_now timestamptz, p_until timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id text, due_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT n.company_id, n.id, n.due_at
  FROM public.due_nudges(p_now, p_until, p_limit, p_companies) WITH ORDINALITY AS d (company_id, id, turn)
  JOIN public.nudges n ON n.company_id = d.company_id AND n.id = d.id
  WHERE n.status = 'planned' AND n.due_at > p_now
  ORDER BY d.turn LIMIT p_limit
$$;
