-- Callers: churn_worker
-- Inserts facts and links of deliveries of one company, each once, under the customer or, while the customer is unknown,
-- under the object. Also stores when the facts were recorded. Events, objects and facts are parallel arrays; objects and
-- facts name their event by its place. `p_places`: the events to place; the others are left out.
CREATE OR REPLACE FUNCTION place_deliveries(
  p_places integer[],
  p_events uuid[], p_providers text[], p_customers text[], p_received timestamptz[], p_known timestamptz[],
  p_object_events integer[], p_objects text[],
  p_fact_events integer[], p_fact_ids text[], p_fact_ranks smallint[], p_fact_times timestamptz[], p_fact_bodies jsonb
)
RETURNS TABLE (place integer, subject text, customer_id text, has_joined boolean) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_company text := app_company();
  -- Events with an object that is not linked to their customer yet.
  v_open integer[];
  -- Of these, the ones that name no customer or join objects that wait.
  v_joining integer[];
  v_locked text[] := '{}';
  v_next text[];
  v_place integer;
  v_objects text[];
  v_link record;
  -- By place: the customer or object under which the facts are.
  v_subjects text[] := p_customers;
  v_waiting integer[] := '{}';
  v_joined integer[] := '{}';
  v_known timestamptz[];
BEGIN
  SELECT array_agg(DISTINCT o.event) INTO v_open
    FROM unnest(p_object_events, p_objects) AS o (event, id)
    LEFT JOIN LATERAL (
      SELECT k.is_customer FROM object_links k
        WHERE k.company_id = v_company AND k.provider = p_providers[o.event] AND k.object_id = o.id OFFSET 0
    ) AS l ON true
    WHERE o.event = ANY (p_places) AND (p_customers[o.event] IS NULL OR l.is_customer IS NOT TRUE);

  IF v_open IS NOT NULL THEN
    -- Deliveries that share an object or a root are serialized; others do not wait for each other. A link that was read
    -- before its lock was taken may have changed, so links are read again until there is nothing new to lock.
    SELECT array_agg(DISTINCT p_providers[o.event] || '|' || o.id) INTO v_next
      FROM unnest(p_object_events, p_objects) AS o (event, id) WHERE o.event = ANY (v_open);
    WHILE v_next IS NOT NULL LOOP
      PERFORM pg_advisory_xact_lock(hashtextextended(v_company || '|' || k.name, 0))
        FROM (SELECT n.name FROM unnest(v_next) AS n (name) ORDER BY n.name COLLATE "C") AS k;
      v_locked := v_locked || v_next;
      SELECT array_agg(DISTINCT l.provider || '|' || l.root_id) FILTER (
          WHERE NOT l.is_customer AND l.provider || '|' || l.root_id <> ALL (v_locked)
        ), array_agg(DISTINCT o.event) FILTER (WHERE p_customers[o.event] IS NULL OR NOT l.is_customer)
        INTO v_next, v_joining
        FROM unnest(p_object_events, p_objects) AS o (event, id)
        LEFT JOIN LATERAL (
          SELECT k.provider, k.root_id, k.is_customer FROM object_links k
            WHERE k.company_id = v_company AND k.provider = p_providers[o.event] AND k.object_id = o.id OFFSET 0
        ) AS l ON true
        WHERE o.event = ANY (v_open);
    END LOOP;

    INSERT INTO object_links (company_id, provider, object_id, root_id, is_customer, created_at, linked_at)
      SELECT v_company, p_providers[o.event], o.id, p_customers[o.event], true, p_known[o.event], p_known[o.event]
      FROM unnest(p_object_events, p_objects) AS o (event, id)
      WHERE o.event = ANY (v_open) AND (v_joining IS NULL OR o.event <> ALL (v_joining)) ORDER BY o.event
      ON CONFLICT DO NOTHING;
    IF v_joining IS NOT NULL THEN
      FOREACH v_place IN ARRAY v_joining LOOP
        v_objects := ARRAY(
          SELECT o.id FROM unnest(p_object_events, p_objects) WITH ORDINALITY AS o (event, id, n)
            WHERE o.event = v_place ORDER BY o.n
        );
        SELECT * INTO v_link FROM tie_objects(
          p_providers[v_place], p_customers[v_place], v_objects, p_known[v_place]
        );
        IF v_link.is_customer THEN
          v_subjects[v_place] := v_link.root;
          IF v_link.has_joined THEN v_joined := v_joined || v_place; END IF;
        ELSE
          v_subjects[v_place] := v_objects[1];
          v_waiting := v_waiting || v_place;
        END IF;
      END LOOP;
    END IF;
  END IF;

  INSERT INTO customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
    SELECT v_company, (p_providers[e.place] || '_' || v_subjects[e.place]) COLLATE "C" AS id, p_providers[e.place],
      v_subjects[e.place], p_received[e.place], p_received[e.place]
    FROM unnest(p_places) AS e (place) WHERE v_subjects[e.place] IS NOT NULL AND e.place <> ALL (v_waiting)
    ORDER BY id, e.place
    ON CONFLICT DO NOTHING;
  PERFORM pg_advisory_xact_lock_shared(knowledge_lock(c.id)) FROM (
    SELECT DISTINCT (p_providers[e.place] || '_' || v_subjects[e.place]) COLLATE "C" AS id FROM unnest(p_places) AS e (place)
      WHERE v_subjects[e.place] IS NOT NULL AND e.place <> ALL (v_waiting) ORDER BY 1
  ) AS c;
  -- A separate statement, so that it sees the scores that were written while the locks were awaited.
  v_known := ARRAY(
    SELECT k.known_at FROM known_times(v_company, ARRAY(
      SELECT CASE WHEN e.place <> ALL (v_waiting) THEN p_providers[e.place] || '_' || e.subject END
      FROM unnest(v_subjects) WITH ORDINALITY AS e (subject, place) ORDER BY e.place
    ), p_known) AS k ORDER BY k.place
  );
  IF v_known <> p_known THEN
    UPDATE object_links l SET linked_at = v_known[o.event]
      FROM unnest(p_object_events, p_objects) AS o (event, id)
      WHERE l.company_id = v_company AND l.provider = p_providers[o.event] AND l.object_id = o.id AND l.is_customer
        AND l.linked_at = p_known[o.event] AND o.event = ANY (p_places) AND v_known[o.event] > p_known[o.event];
  END IF;

  INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, event_id, body)
    SELECT v_company, f.id, p_providers[f.event], v_subjects[f.event], b.body ->> 'kind', f.rank, f.occurred_at,
      p_received[f.event], v_known[f.event], p_events[f.event], b.body
    FROM unnest(p_fact_events, p_fact_ids, p_fact_ranks, p_fact_times)
      WITH ORDINALITY AS f (event, id, rank, occurred_at, n)
      CROSS JOIN LATERAL (SELECT p_fact_bodies -> (f.n - 1)::integer AS body) AS b
    WHERE f.event = ANY (p_places) AND v_subjects[f.event] IS NOT NULL
    ON CONFLICT DO NOTHING;
  IF cardinality(v_waiting) > 0 THEN
    UPDATE object_links l SET holds_facts = true
      FROM unnest(v_waiting) AS w (place)
      WHERE l.company_id = v_company AND l.provider = p_providers[w.place] AND l.object_id = v_subjects[w.place];
  END IF;
  RETURN QUERY SELECT e.place, v_subjects[e.place],
      CASE WHEN e.place <> ALL (v_waiting) THEN p_providers[e.place] || '_' || v_subjects[e.place] END,
      e.place = ANY (v_joined)
    FROM unnest(p_places) AS e (place);
END
$$;
