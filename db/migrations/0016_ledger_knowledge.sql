-- When a fact could be known: what a model sees of the past must not hold what came later. `recorded_at` is when its
-- delivery was received; one that was parked or read again later was written down later, and one that waited under an
-- object's id was nobody's until the object was tied to its customer.
ALTER TABLE facts ADD COLUMN known_at timestamptz;
--> statement-breakpoint
COMMENT ON COLUMN facts.known_at IS 'When it was written down; null: when it was recorded.';
--> statement-breakpoint
ALTER TABLE object_links ADD COLUMN linked_at timestamptz;
--> statement-breakpoint
COMMENT ON COLUMN object_links.linked_at IS 'When the object was tied to its customer; null: when it was first seen.';
--> statement-breakpoint
-- Links made before this column was there: the customer cannot have been tied to before it was first named. Only those
-- that hold facts are asked for.
UPDATE object_links l SET linked_at = greatest(l.created_at, c.created_at)
  FROM customers c
  WHERE l.is_customer AND l.holds_facts
    AND c.company_id = l.company_id AND c.provider = l.provider AND c.provider_customer_id = l.root_id;
--> statement-breakpoint
-- As before, and notes when an object came to its customer. `p_now` is when the tie is written down.
CREATE OR REPLACE FUNCTION tie_objects(p_provider text, p_customer text, p_objects text[], p_now timestamptz)
RETURNS TABLE (root text, is_customer boolean, has_joined boolean) LANGUAGE plpgsql AS $$
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

  -- Deliveries that share an object, or whose objects stand under one root, take turns; others do not wait for each other.
  -- What was read before a lock was ours may have been moved meanwhile, so it is read until there is nothing new to lock.
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
--> statement-breakpoint
-- What writers of a customer's facts hold in common, and whoever writes down what was known of the customer alone.
CREATE FUNCTION knowledge_lock(p_customer_id text) RETURNS bigint LANGUAGE sql STABLE
  RETURN hashtextextended('knowledge|' || app_company() || '|' || p_customer_id, 0);
--> statement-breakpoint
-- The first moment at which a fact that is written down now can have been known of a customer: not before `p_at`, and after
-- the last moment of which it was written down what was known. The caller holds the lock.
CREATE FUNCTION known_from(p_customer_id text, p_at timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT greatest(p_at, (
    SELECT s.as_of + interval '1 millisecond' FROM customer_scores s
    WHERE s.company_id = app_company() AND s.customer_id = p_customer_id
  ))
$$;
--> statement-breakpoint
-- As before, and holds the lock of whoever is about to write own facts. It is taken before the row's, as everywhere.
CREATE OR REPLACE FUNCTION assert_version(p_customer_id text, p_expected integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_version integer;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(knowledge_lock(p_customer_id));
  SELECT c.version INTO v_version FROM customers c
    WHERE c.company_id = app_company() AND c.id = p_customer_id FOR UPDATE;
  IF v_version IS DISTINCT FROM p_expected THEN
    RAISE EXCEPTION 'customer has moved on' USING ERRCODE = 'CS001';
  END IF;
END
$$;
--> statement-breakpoint
-- As before, and notes when the facts were written down.
CREATE OR REPLACE FUNCTION place_facts(p jsonb) RETURNS TABLE (subject text, customer_id text, has_joined boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_provider text := p ->> 'provider';
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_known timestamptz := coalesce((p ->> 'knownAt')::timestamptz, v_received);
  v_after timestamptz;
  v_objects text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'objects'));
  v_is_customer boolean := (p ->> 'customer') IS NOT NULL;
  v_link record;
BEGIN
  subject := coalesce(p ->> 'customer', v_objects[1]);
  has_joined := false;
  IF cardinality(v_objects) > 0 THEN
    SELECT * INTO v_link FROM tie_objects(v_provider, p ->> 'customer', v_objects, v_known);
    IF v_link.is_customer THEN
      subject := v_link.root;
      v_is_customer := true;
      has_joined := v_link.has_joined;
    END IF;
  END IF;
  IF v_is_customer THEN
    customer_id := v_provider || '_' || subject;
    INSERT INTO customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
      VALUES (v_company, customer_id, v_provider, subject, v_received, v_received)
      ON CONFLICT DO NOTHING;
    PERFORM pg_advisory_xact_lock_shared(knowledge_lock(customer_id));
    v_after := known_from(customer_id, v_known);
    IF v_after > v_known THEN
      UPDATE object_links l SET linked_at = v_after
        WHERE l.company_id = v_company AND l.provider = v_provider AND l.object_id = ANY (v_objects) AND l.is_customer
          AND l.linked_at = v_known;
      v_known := v_after;
    END IF;
  END IF;
  IF subject IS NOT NULL THEN
    INSERT INTO facts (
        company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, event_id, body
      )
      SELECT v_company, f ->> 'id', v_provider, place_facts.subject, f -> 'body' ->> 'kind', (f ->> 'rank')::smallint,
        (f ->> 'occurredAt')::timestamptz, v_received, v_known, (p ->> 'eventId')::uuid, f -> 'body'
      FROM jsonb_array_elements(p -> 'facts') AS f
      ON CONFLICT DO NOTHING;
  END IF;
  IF NOT v_is_customer AND subject IS NOT NULL THEN
    UPDATE object_links l SET holds_facts = true
      WHERE l.company_id = v_company AND l.provider = v_provider AND l.object_id = place_facts.subject;
  END IF;
  RETURN NEXT;
END
$$;
--> statement-breakpoint
-- The whole ledgers of customers, each fact with the time from which on it could be known of that customer: when it was
-- written down, and its object tied to the customer. One look-up per subject, so that each uses the whole index.
CREATE FUNCTION read_ledgers(p_customers text[]) RETURNS TABLE (customer_id text, facts jsonb)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_company text := app_company();
  v_customer customers;
  v_subject record;
BEGIN
  FOR v_customer IN
    SELECT c.* FROM customers c WHERE c.company_id = v_company AND c.id = ANY (p_customers) ORDER BY c.id COLLATE "C"
  LOOP
    customer_id := v_customer.id;
    facts := '[]';
    FOR v_subject IN
      SELECT v_customer.provider_customer_id AS id, NULL::timestamptz AS linked_at
      UNION ALL
      SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
        WHERE l.company_id = v_company AND l.provider = v_customer.provider AND l.is_customer AND l.holds_facts
          AND l.root_id = v_customer.provider_customer_id
    LOOP
      facts := facts || coalesce((
        SELECT jsonb_agg(jsonb_build_object(
          'id', f.id, 'occurredAt', f.occurred_at, 'body', f.body,
          'knownAt', greatest(coalesce(f.known_at, f.recorded_at), v_subject.linked_at)
        ))
        FROM facts f
        WHERE f.company_id = v_company AND f.provider = v_customer.provider AND f.subject = v_subject.id
      ), '[]');
    END LOOP;
    RETURN NEXT;
  END LOOP;
END
$$;
--> statement-breakpoint
-- Raises CS001 unless of each customer exactly so many facts were known at `p_as_of`, and keeps it so: until the end of the
-- transaction nobody writes facts of them, and what is written after it is known later. It waits for nobody, so that it
-- can be in no circle: a customer of whom facts are being written has moved on.
CREATE FUNCTION assert_knowledge(p_customers text[], p_counts integer[], p_as_of timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_place integer;
  v_customer customers;
  v_subject record;
  v_count integer;
BEGIN
  FOR v_place IN 1..cardinality(p_customers) LOOP
    v_count := NULL;
    IF pg_try_advisory_xact_lock(knowledge_lock(p_customers[v_place])) THEN
      SELECT * INTO v_customer FROM customers c WHERE c.company_id = v_company AND c.id = p_customers[v_place];
      v_count := 0;
      FOR v_subject IN
        SELECT v_customer.provider_customer_id AS id, NULL::timestamptz AS linked_at
        UNION ALL
        SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
          WHERE l.company_id = v_company AND l.provider = v_customer.provider AND l.is_customer AND l.holds_facts
            AND l.root_id = v_customer.provider_customer_id
      LOOP
        v_count := v_count + (
          SELECT count(*) FROM facts f
          WHERE f.company_id = v_company AND f.provider = v_customer.provider AND f.subject = v_subject.id
            AND greatest(coalesce(f.known_at, f.recorded_at), v_subject.linked_at) <= p_as_of
        );
      END LOOP;
    END IF;
    IF v_count IS DISTINCT FROM p_counts[v_place] THEN
      RAISE EXCEPTION 'more is known of a customer by now' USING ERRCODE = 'CS001';
    END IF;
  END LOOP;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION
  read_ledgers(text[]), knowledge_lock(text), known_from(text, timestamptz), assert_knowledge(text[], integer[], timestamptz)
FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION
  read_ledgers(text[]), knowledge_lock(text), known_from(text, timestamptz), assert_knowledge(text[], integer[], timestamptz)
TO churn_worker;
