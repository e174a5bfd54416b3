-- Callers: churn_worker
-- Records deliveries of one company and reads the streams of their customers, in one round trip and one transaction. Of
-- repeated deliveries, also within the call, only the first is new; the others change nothing. An event, its facts and
-- its links are written together or not at all. Events, objects and facts are parallel arrays; objects and facts name
-- their event by its place.
--
-- `outcomes` has one element for each event. `streams` has one for each customer with facts to fold; it holds the new
-- facts of all the customer's events.
CREATE OR REPLACE FUNCTION record_deliveries(
  p_company text, p_customer_events_max integer,
  p_ids uuid[], p_providers text[], p_accounts text[], p_provider_event_ids text[], p_types text[],
  p_api_versions text[], p_statuses text[], p_errors text[], p_occurred timestamptz[], p_received timestamptz[],
  p_known timestamptz[], p_next_attempts timestamptz[], p_customers text[], p_payloads text[],
  p_object_events integer[], p_objects text[],
  p_fact_events integer[], p_fact_ids text[], p_fact_ranks smallint[], p_fact_times timestamptz[], p_fact_bodies jsonb
) RETURNS json LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  -- Places of the events that are new, and of those of them that are not set aside.
  v_new integer[];
  v_placed integer[];
  -- By place: our id of the customer as far as it is known, whether it has too many links, and why the event is set aside.
  v_named text[];
  v_crowded boolean[];
  v_reasons text[];
  -- How many more events of a customer may be processed within the hour, where these could be too many.
  v_left jsonb := '{}';
  v_counted record;
  -- By place, after the facts were placed.
  v_subjects text[];
  v_customer_ids text[];
  v_joined boolean[];
  v_statuses text[];
  -- The customers to fold: whether waiting facts were linked to them, and their earliest new facts.
  v_to_fold text[];
  v_are_whole boolean[];
  v_times timestamptz[];
  v_ranks smallint[];
  v_facts text[];
BEGIN
  PERFORM set_config('app.company_id', p_company, true);

  -- In one order, so that calls that share events cannot deadlock.
  WITH given AS (
    SELECT * FROM unnest(p_ids, p_providers, p_accounts, p_provider_event_ids, p_received)
      WITH ORDINALITY AS e (id, provider, account, provider_event_id, received_at, place)
  ), inserted AS (
    INSERT INTO webhook_event_keys (company_id, provider, account, provider_event_id, event_id, received_at)
      SELECT p_company, e.provider, e.account, e.provider_event_id, e.id, e.received_at FROM given e
      ORDER BY e.provider, e.account COLLATE "C", e.provider_event_id COLLATE "C", e.place
      ON CONFLICT DO NOTHING RETURNING event_id
  )
  SELECT coalesce(array_agg(n.place ORDER BY n.place), '{}') INTO v_new
    FROM (SELECT min(e.place)::integer AS place FROM given e JOIN inserted i ON i.event_id = e.id GROUP BY e.id) AS n;

  SELECT array_agg(n.customer_id ORDER BY n.place), array_agg(n.is_crowded ORDER BY n.place) INTO v_named, v_crowded
    FROM customers_named(p_providers, p_customers, p_object_events, p_objects) AS n;
  -- All customers are counted at once. Those near the limit are counted again in one order, because `events_left` may take a
  -- lock.
  FOR v_counted IN
    SELECT c.customer_id, c.since, p_customer_events_max - r.events AS events_left
      FROM (
        SELECT v_named[n.place] COLLATE "C" AS customer_id, min(p_received[n.place]) AS since FROM unnest(v_new) AS n (place)
          WHERE p_statuses[n.place] = 'received' AND v_named[n.place] IS NOT NULL GROUP BY 1 ORDER BY 1
      ) AS c
      CROSS JOIN LATERAL (
        SELECT count(*) AS events FROM recent_events(p_company, c.customer_id, p_customer_events_max, c.since)
      ) AS r
      ORDER BY c.customer_id
  LOOP
    IF v_counted.events_left <= greatest(50, cardinality(p_ids)) THEN
      v_left := v_left || jsonb_build_object(
        v_counted.customer_id, events_left(v_counted.customer_id, p_customer_events_max, v_counted.since)
      );
    END IF;
  END LOOP;
  IF v_left = '{}' AND true <> ALL (v_crowded) THEN
    v_reasons := array_fill(NULL::text, ARRAY[cardinality(p_ids)]);
    v_placed := v_new;
  ELSE
    -- The events of a customer are counted as if they had come one by one.
    v_reasons := ARRAY(
      SELECT CASE
        WHEN n.is_counted AND n.number > (v_left ->> n.customer_id)::integer THEN 'customer_flood'
        WHEN v_crowded[n.place] THEN 'too_many_links' END
      FROM (
        SELECT e.place, e.customer_id, e.is_counted,
          count(*) FILTER (WHERE e.is_counted) OVER (PARTITION BY e.customer_id ORDER BY e.place) AS number
        FROM (
          SELECT g.place::integer, g.customer_id,
            g.customer_id IS NOT NULL AND p_statuses[g.place] = 'received' AND g.place = ANY (v_new) AS is_counted
          FROM unnest(v_named) WITH ORDINALITY AS g (customer_id, place)
        ) AS e
      ) AS n ORDER BY n.place
    );
    v_placed := ARRAY(SELECT n.place FROM unnest(v_new) AS n (place) WHERE v_reasons[n.place] IS NULL);
    PERFORM quarantine(v_named[n.place], v_reasons[n.place], p_known[n.place])
      FROM unnest(v_new) AS n (place)
      WHERE v_reasons[n.place] IS NOT NULL AND v_named[n.place] IS NOT NULL;
  END IF;

  SELECT array_agg(f.subject ORDER BY e.place), array_agg(f.customer_id ORDER BY e.place),
      array_agg(coalesce(f.has_joined, false) ORDER BY e.place),
      array_agg(CASE
        -- Stored for an operator, without facts and links, so that the customer causes no work until it is replayed.
        WHEN v_reasons[e.place] IS NOT NULL THEN CASE WHEN e.status = 'unhandled' THEN e.status ELSE 'dead' END
        -- It has no facts itself, but waiting facts were linked to their customer through it.
        WHEN e.status = 'unhandled' AND f.has_joined THEN 'received'
        -- Nothing to fold until the customer is known; the facts wait in the ledger.
        WHEN e.status = 'received' AND f.customer_id IS NULL THEN 'processed'
        ELSE e.status END ORDER BY e.place)
    INTO v_subjects, v_customer_ids, v_joined, v_statuses
    FROM unnest(p_statuses) WITH ORDINALITY AS e (status, place)
    LEFT JOIN place_deliveries(
      v_placed, p_ids, p_providers, p_customers, p_received, p_known, p_object_events, p_objects,
      p_fact_events, p_fact_ids, p_fact_ranks, p_fact_times, p_fact_bodies
    ) AS f ON f.place = e.place;
  INSERT INTO webhook_events (
      company_id, id, provider, account, provider_event_id, type, api_version, status, subject, customer_id, occurred_at,
      received_at, processed_at, next_attempt_at, error, payload
    )
    SELECT p_company, e.id, e.provider, e.account, e.provider_event_id, e.type, e.api_version, e.status, v_subjects[e.place],
      CASE WHEN v_reasons[e.place] IS NULL THEN v_customer_ids[e.place] ELSE v_named[e.place] END, e.occurred_at,
      e.received_at, CASE WHEN e.status IN ('processed', 'unhandled') AND v_reasons[e.place] IS NULL THEN e.received_at END,
      CASE WHEN e.status = 'received' THEN e.next_attempt_at END, coalesce(v_reasons[e.place], e.error),
      decode(e.payload, 'base64')
    FROM unnest(
      p_ids, p_providers, p_accounts, p_provider_event_ids, p_types, p_api_versions, v_statuses, p_errors, p_occurred,
      p_received, p_next_attempts, p_payloads
    ) WITH ORDINALITY AS e (
      id, provider, account, provider_event_id, type, api_version, status, error, occurred_at, received_at,
      next_attempt_at, payload, place
    )
    WHERE e.place = ANY (v_new);

  -- The customers to fold, each with its earliest new fact.
  SELECT array_agg(c.id), array_agg(c.has_joined), array_agg(c.occurred_at), array_agg(c.rank), array_agg(c.fact_id)
    INTO v_to_fold, v_are_whole, v_times, v_ranks, v_facts
    FROM (
      SELECT DISTINCT ON (v_customer_ids[e.place]) v_customer_ids[e.place] AS id,
        bool_or(v_joined[e.place]) OVER (PARTITION BY v_customer_ids[e.place]) AS has_joined,
        f.occurred_at, f.rank, f.id AS fact_id
      FROM unnest(v_placed) AS e (place)
      LEFT JOIN unnest(p_fact_events, p_fact_ids, p_fact_ranks, p_fact_times) AS f (event, id, rank, occurred_at)
        ON f.event = e.place
      WHERE v_statuses[e.place] = 'received'
      ORDER BY v_customer_ids[e.place], f.occurred_at, f.rank, f.id COLLATE "C"
    ) AS c;

  RETURN json_build_object(
    'outcomes', (
      SELECT json_agg(json_build_object(
        'isNew', e.place = ANY (v_new),
        'setAside', CASE WHEN e.place = ANY (v_new) THEN v_reasons[e.place] END,
        'customerId', CASE WHEN e.place = ANY (v_new) AND v_statuses[e.place] = 'received' THEN v_customer_ids[e.place] END
      ) ORDER BY e.place)
      FROM unnest(p_ids) WITH ORDINALITY AS e (id, place)
    ),
    'streams', read_streams(v_to_fold, v_are_whole, v_times, v_ranks, v_facts)
  );
END
$$;
