-- Callers: churn_worker
-- Links objects to a customer, or to each other while the customer is unknown. Returns the root
-- they are linked to, whether it is a customer, and whether waiting objects were linked to a customer by this call.
-- `p_now` is the time of the link.
CREATE OR REPLACE FUNCTION tie_objects(p_provider text, p_customer text, p_objects text[], p_now timestamptz)
RETURNS TABLE (root text, is_customer boolean, has_joined boolean) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  v_company text := app_company();
  v_object text;
  v_link object_links;
  v_known text;
  v_waiting text[] := '{}';
  v_locked text[] := '{}';
  v_is_settled boolean;
  v_are_all_known boolean := p_customer IS NOT NULL;
BEGIN
  has_joined := false;
  FOREACH v_object IN ARRAY p_objects LOOP
    EXIT WHEN NOT v_are_all_known;
    SELECT * INTO v_link FROM object_links l
      WHERE l.company_id = v_company AND l.provider = p_provider AND l.object_id = v_object;
    v_are_all_known := FOUND AND v_link.is_customer;
  END LOOP;
  IF v_are_all_known THEN
    root := p_customer;
    is_customer := true;
    RETURN NEXT;
    RETURN;
  END IF;

  -- Deliveries that share an object or a root are serialized; others do not wait for each other. A link that was read
  -- before its lock was taken may have changed, so links are read again until there is nothing new to lock.
  LOOP
    v_known := NULL;
    v_waiting := '{}';
    FOREACH v_object IN ARRAY p_objects LOOP
      SELECT * INTO v_link FROM object_links l
        WHERE l.company_id = v_company AND l.provider = p_provider AND l.object_id = v_object;
      CONTINUE WHEN NOT FOUND;
      IF v_link.is_customer THEN
        v_known := least(v_known, v_link.root_id);
      ELSE
        v_waiting := v_waiting || v_link.root_id;
      END IF;
    END LOOP;
    v_is_settled := true;
    FOR v_object IN SELECT DISTINCT unnest(p_objects || v_waiting) EXCEPT SELECT unnest(v_locked) ORDER BY 1 LOOP
      PERFORM pg_advisory_xact_lock(hashtextextended(v_company || '|' || p_provider || '|' || v_object, 0));
      v_locked := v_locked || v_object;
      v_is_settled := false;
    END LOOP;
    EXIT WHEN v_is_settled;
  END LOOP;

  root := coalesce(p_customer, v_known, (SELECT min(w.id) FROM unnest(v_waiting) AS w (id)), p_objects[1]);
  is_customer := p_customer IS NOT NULL OR v_known IS NOT NULL;

  IF cardinality(v_waiting) > 0 THEN
    UPDATE object_links l SET root_id = root, is_customer = tie_objects.is_customer,
        linked_at = CASE WHEN tie_objects.is_customer THEN p_now END
      WHERE l.company_id = v_company AND l.provider = p_provider AND l.root_id = ANY (v_waiting) AND NOT l.is_customer;
    has_joined := is_customer;
  END IF;
  INSERT INTO object_links (company_id, provider, object_id, root_id, is_customer, created_at, linked_at)
    SELECT v_company, p_provider, o.id, root, tie_objects.is_customer, p_now,
      CASE WHEN tie_objects.is_customer THEN p_now END
    FROM (SELECT DISTINCT unnest(p_objects) AS id ORDER BY 1) AS o
    ON CONFLICT DO NOTHING;
  RETURN NEXT;
END
$$;
