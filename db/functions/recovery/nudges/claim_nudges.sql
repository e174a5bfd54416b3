-- Callers: churn_worker
-- Claims due nudges of the entered company, each for its element of `p_owners`: unclaimed, with an expired lease, or claimed
-- by the dispatcher. Returns the ids of what was claimed with their customers (`nudges`), the current streams of these
-- customers, and with each the person (`read_person`, messages since `p_sent_since`), all from one database snapshot.
--
-- A call for several nudges does not wait for rows that others have locked, so that two calls cannot wait for each other: it
-- returns their ids (`busy`). A call for one nudge waits.
CREATE OR REPLACE FUNCTION claim_nudges(
  p_ids text[], p_dispatcher text, p_owners text[], p_now timestamptz, p_until timestamptz, p_sent_since timestamptz
) RETURNS json LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_company text := app_company();
  v_place integer;
  v_now record;
  v_claimed jsonb := '[]';
  v_ids text[] := '{}';
  v_customers text[] := '{}';
BEGIN
  IF cardinality(p_ids) = 1 THEN
    PERFORM FROM nudges n WHERE n.company_id = v_company AND n.id = p_ids[1] FOR UPDATE;
  END IF;
  FOR v_place IN 1..cardinality(p_ids) LOOP
    -- By the key alone, so that only its index can be used.
    SELECT n.customer_id, n.status, n.due_at, n.lease_until, n.lease_owner INTO v_now
      FROM nudges n WHERE n.company_id = v_company AND n.id = p_ids[v_place] FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND OR v_now.status NOT IN ('planned', 'sending') OR v_now.due_at > p_now
      OR v_now.lease_until > p_now AND v_now.lease_owner IS DISTINCT FROM p_dispatcher;
    UPDATE nudges n SET lease_owner = p_owners[v_place], lease_until = p_until
      WHERE n.company_id = v_company AND n.id = p_ids[v_place];
    v_claimed := v_claimed || jsonb_build_object('id', p_ids[v_place], 'customerId', v_now.customer_id);
    v_ids := v_ids || p_ids[v_place];
    IF v_now.customer_id <> ALL (v_customers) THEN v_customers := v_customers || v_now.customer_id; END IF;
  END LOOP;
  RETURN json_build_object(
    'nudges', v_claimed,
    'busy', (
      SELECT coalesce(json_agg(given.id), '[]') FROM unnest(p_ids) AS given (id)
        CROSS JOIN LATERAL (
          SELECT m.* FROM nudges m WHERE m.company_id = v_company AND m.id = given.id OFFSET 0
        ) AS n
        WHERE given.id <> ALL (v_ids) AND n.status IN ('planned', 'sending') AND n.due_at <= p_now
          AND (n.lease_until IS NULL OR n.lease_until <= p_now OR n.lease_owner = p_dispatcher)
    ),
    'streams', read_streams(
      v_customers, array_fill(true, ARRAY[cardinality(v_customers)]), array_fill(NULL::timestamptz, ARRAY[cardinality(v_customers)]),
      array_fill(NULL::smallint, ARRAY[cardinality(v_customers)]), array_fill(NULL::text, ARRAY[cardinality(v_customers)])
    ),
    'persons', (
      SELECT coalesce(json_agg(read_person(c.id, p_sent_since) ORDER BY c.place), '[]')
        FROM unnest(v_customers) WITH ORDINALITY AS c (id, place)
    )
  );
END
$$;
