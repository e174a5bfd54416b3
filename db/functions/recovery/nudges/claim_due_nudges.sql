-- Owner: churn_system
-- Callers: churn_worker
-- Claims due nudges for `p_owner` until `p_until`, each by one worker at most, in the order of `due_nudges`. A nudge in
-- `sending` whose lease has expired is claimed too: its worker was lost. Rows are locked one by one by their key, and
-- checked again under the lock.
CREATE OR REPLACE FUNCTION claim_due_nudges(
  p_now timestamptz, p_due_before timestamptz, p_owner text, p_until timestamptz, p_limit integer, p_companies text[]
)
RETURNS TABLE (company_id text, id text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  v_taken integer := 0;
  v_next record;
  v_now record;
BEGIN
  FOR v_next IN SELECT d.company_id, d.id FROM public.due_nudges(p_now, p_due_before, p_limit, p_companies) AS d LOOP
    EXIT WHEN v_taken = p_limit;
    -- By the key alone: with more conditions a plan could choose an index that contains a whole backlog.
    SELECT n.status, n.due_at, n.lease_until INTO v_now FROM public.nudges n
      WHERE n.company_id = v_next.company_id AND n.id = v_next.id
      FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND OR v_now.status NOT IN ('planned', 'sending') OR v_now.due_at > p_due_before
      OR v_now.lease_until > p_now;
    UPDATE public.nudges n SET lease_owner = p_owner, lease_until = p_until
      WHERE n.company_id = v_next.company_id AND n.id = v_next.id;
    v_taken := v_taken + 1;
    company_id := v_next.company_id;
    id := v_next.id;
    RETURN NEXT;
  END LOOP;
END
$$;
