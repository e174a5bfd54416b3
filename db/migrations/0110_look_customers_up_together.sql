-- `known_from` for customers, by place; null: there is no customer. One query, so that it becomes a part of the query that
-- calls it.
CREATE OR REPLACE FUNCTION known_times(p_company text, p_customers text[], p_times timestamptz[])
RETURNS TABLE (place integer, known_at timestamptz) LANGUAGE sql STABLE AS $$
  SELECT c.place::integer, greatest(c.at, s.as_of + interval '1 millisecond')
  FROM unnest(p_customers, p_times) WITH ORDINALITY AS c (id, at, place)
  LEFT JOIN LATERAL (
    SELECT k.as_of FROM customer_scores k WHERE k.company_id = p_company AND k.customer_id = c.id OFFSET 0
  ) AS s ON true
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION known_times(text, text[], timestamptz[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION known_times(text, text[], timestamptz[]) TO churn_worker;
--> statement-breakpoint
-- The events of a customer in the hour before `p_now` that count towards its limit, at most `p_max`: all but imported ones
-- and dead letters. One query, so that it becomes a part of the query that calls it.
CREATE OR REPLACE FUNCTION recent_events(p_company text, p_customer_id text, p_max integer, p_now timestamptz)
RETURNS TABLE (received_at timestamptz) LANGUAGE sql STABLE AS $$
  SELECT e.received_at FROM webhook_events e
  WHERE e.company_id = p_company AND e.customer_id = p_customer_id AND e.status <> 'dead'
    AND e.provider_event_id NOT LIKE 'history\_%' AND e.received_at > p_now - interval '1 hour'
  -- The order of the index by customer.
  ORDER BY e.received_at DESC, e.id LIMIT p_max
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION recent_events(text, text, integer, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION recent_events(text, text, integer, timestamptz) TO churn_worker;
--> statement-breakpoint
-- Commits what was folded and decided for some customers of one company, in one transaction and one round trip; returns
-- the customers of whom nothing was written. `stale_version`: another writer was first, or another customer of the
-- person has changed; `lost_lease`: the nudge is no longer claimed by this owner. The others are committed.
--
-- The customers are in order of ids and each is there once. Arrays of customers have one element for each; other rows
-- name their customer, by id in JSON and by place in arrays.
CREATE OR REPLACE FUNCTION commit_streams(
  p_company text, p_now timestamptz,
  p_customers text[], p_versions integer[], p_states jsonb,
  -- What takes the facts of the last instant back from each state, or null.
  p_undos jsonb,
  -- Whether the next milestone is set, and when it is reached by date.
  p_sets_milestone boolean[], p_milestone_due timestamptz[],
  -- The claimed nudge that is written about, its owner, and the mark of the person; null without such a guard.
  p_nudges_claimed text[], p_owners text[], p_marks text[],
  p_cases jsonb, p_removed_cases jsonb, p_subscriptions jsonb, p_payments jsonb,
  p_fact_customers integer[], p_fact_ids text[], p_fact_providers text[], p_fact_subjects text[], p_fact_ranks smallint[],
  p_fact_times timestamptz[], p_fact_bodies jsonb,
  p_nudges jsonb, p_nudge_changes jsonb, p_consents jsonb, p_incentives jsonb, p_milestones jsonb, p_contacts jsonb,
  p_event_customers integer[], p_event_ids uuid[], p_events_received timestamptz[]
) RETURNS TABLE (customer_id text, failure text) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_place integer;
  v_unleased text[] := '{}';
  v_changed text[] := '{}';
  v_written text[];
  v_nudge record;
  -- By place: when facts that are written now are known.
  v_known timestamptz[];
BEGIN
  PERFORM set_config('app.company_id', p_company, true);

  -- All locks in one order: what is known of the customers, their rows, their nudges, their persons.
  PERFORM pg_advisory_xact_lock_shared(knowledge_lock(c.id)) FROM unnest(p_customers) AS c (id);
  IF cardinality(p_customers) > 1 OR cardinality(p_nudges_claimed) > 0 THEN
    PERFORM FROM customers c WHERE c.company_id = p_company AND c.id = ANY (p_customers) ORDER BY c.id FOR UPDATE;
  END IF;
  IF cardinality(p_nudges_claimed) > 0 THEN
    FOR v_place IN 1..cardinality(p_customers) LOOP
      CONTINUE WHEN p_nudges_claimed[v_place] IS NULL;
      -- By the key alone, so that only its index can be used.
      SELECT n.status, n.lease_owner INTO v_nudge
        FROM nudges n WHERE n.company_id = p_company AND n.id = p_nudges_claimed[v_place] FOR UPDATE;
      IF v_nudge.lease_owner IS DISTINCT FROM p_owners[v_place] OR v_nudge.status NOT IN ('planned', 'sending') THEN
        v_unleased := v_unleased || p_customers[v_place];
      END IF;
    END LOOP;
    v_changed := changed_persons(p_customers, p_marks);
  END IF;

  WITH written AS (
    UPDATE customers c SET version = c.version + 1, state = p_states -> (array_position(p_customers, c.id) - 1), updated_at = p_now,
        -- Stored with the version of the state that it belongs to; it is not valid for any other version.
        undo = jsonb_build_object('version', c.version + 1)
          || nullif(p_undos -> (array_position(p_customers, c.id) - 1), 'null'),
        milestone_due_at = CASE
          -- A due time that has passed stays, so that the job still finds it.
          WHEN NOT p_sets_milestone[array_position(p_customers, c.id)] OR c.milestone_due_at <= p_now THEN c.milestone_due_at
          ELSE p_milestone_due[array_position(p_customers, c.id)] END
      WHERE c.company_id = p_company AND c.id = ANY (p_customers)
        AND c.version = p_versions[array_position(p_customers, c.id)]
        AND c.id <> ALL (v_unleased) AND c.id <> ALL (v_changed)
      RETURNING c.id
  )
  SELECT coalesce(array_agg(w.id), '{}') INTO v_written FROM written w;
  IF cardinality(v_written) < cardinality(p_customers) THEN
    RETURN QUERY SELECT c.id, CASE WHEN c.id = ANY (v_unleased) THEN 'lost_lease' ELSE 'stale_version' END
      FROM unnest(p_customers) AS c (id) WHERE c.id <> ALL (v_written);
    IF cardinality(v_written) = 0 THEN RETURN; END IF;
  END IF;

  IF p_cases <> '[]' THEN
    INSERT INTO recovery_cases AS present (
        company_id, id, customer_id, provider, kind, status, subscription_id, invoice_id, amount_minor, recovered_minor,
        currency, remaining_minor, billing, collection, payment_pending_since, payment_pending_until, decline_code,
        failure_count, cause, arm, holdout_percentage, risk_probability, risk_until, last_news_at, opened_at, closed_at
      )
      SELECT p_company, r.id, r.customer_id, r.provider, r.kind, r.status, r.subscription_id, r.invoice_id, r.amount_minor,
        r.recovered_minor, r.currency, r.remaining_minor, r.billing, r.collection, r.payment_pending_since,
        r.payment_pending_until, r.decline_code, r.failure_count, r.cause, r.arm, r.holdout_percentage, r.risk_probability,
        r.risk_until, r.last_news_at, r.opened_at, r.closed_at
      FROM jsonb_populate_recordset(NULL::recovery_cases, p_cases) AS r WHERE r.customer_id = ANY (v_written)
      ON CONFLICT (company_id, id) DO UPDATE SET
        provider = excluded.provider, kind = excluded.kind, status = excluded.status,
        subscription_id = excluded.subscription_id, invoice_id = excluded.invoice_id,
        amount_minor = excluded.amount_minor, recovered_minor = excluded.recovered_minor, currency = excluded.currency,
        remaining_minor = excluded.remaining_minor, billing = excluded.billing, collection = excluded.collection,
        payment_pending_since = excluded.payment_pending_since, payment_pending_until = excluded.payment_pending_until,
        decline_code = excluded.decline_code, failure_count = excluded.failure_count, cause = excluded.cause,
        arm = excluded.arm, holdout_percentage = excluded.holdout_percentage,
        risk_probability = excluded.risk_probability, risk_until = excluded.risk_until,
        last_news_at = excluded.last_news_at, opened_at = excluded.opened_at, closed_at = excluded.closed_at
        -- The row of another customer's case with the same id is not overwritten.
        WHERE present.customer_id = excluded.customer_id;
  END IF;
  IF p_removed_cases <> '[]' THEN
    DELETE FROM recovery_cases c USING jsonb_to_recordset(p_removed_cases) AS r (customer_id text, id text)
      WHERE c.company_id = p_company AND c.id = r.id AND c.customer_id = r.customer_id AND c.customer_id = ANY (v_written);
  END IF;
  IF p_subscriptions <> '[]' THEN
    INSERT INTO subscriptions (
        company_id, customer_id, id, provider, status, currency, items, started_at, current_period_end, trial_end,
        cancel_at, ended_at, unsettled_at
      )
      SELECT p_company, r.customer_id, r.id, r.provider, r.status, r.currency, r.items, r.started_at, r.current_period_end,
        r.trial_end, r.cancel_at, r.ended_at, r.unsettled_at
      FROM jsonb_populate_recordset(NULL::subscriptions, p_subscriptions) AS r WHERE r.customer_id = ANY (v_written)
      ON CONFLICT (company_id, customer_id, id) DO UPDATE SET
        provider = excluded.provider, status = excluded.status, currency = excluded.currency, items = excluded.items,
        started_at = excluded.started_at, current_period_end = excluded.current_period_end,
        trial_end = excluded.trial_end, cancel_at = excluded.cancel_at, ended_at = excluded.ended_at,
        unsettled_at = excluded.unsettled_at;
  END IF;
  IF p_payments <> '[]' THEN
    INSERT INTO payments (
        company_id, customer_id, invoice_id, provider, subscription_id, status, amount_minor, currency, refunded_minor, how,
        failed_at, paid_at
      )
      SELECT p_company, r.customer_id, r.invoice_id, r.provider, r.subscription_id, r.status, r.amount_minor, r.currency,
        r.refunded_minor, r.how, r.failed_at, r.paid_at
      FROM jsonb_populate_recordset(NULL::payments, p_payments) AS r WHERE r.customer_id = ANY (v_written)
      ON CONFLICT (company_id, customer_id, invoice_id) DO UPDATE SET
        provider = excluded.provider, subscription_id = excluded.subscription_id, status = excluded.status,
        amount_minor = excluded.amount_minor, currency = excluded.currency, refunded_minor = excluded.refunded_minor,
        how = excluded.how, failed_at = excluded.failed_at, paid_at = excluded.paid_at;
  END IF;

  IF cardinality(p_fact_ids) > 0 THEN
    v_known := ARRAY(
      SELECT k.known_at FROM known_times(p_company, p_customers, array_fill(p_now, ARRAY[cardinality(p_customers)])) AS k
        ORDER BY k.place
    );
    INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
      SELECT p_company, f.id, f.provider, f.subject, b.body ->> 'kind', f.rank, f.occurred_at, p_now,
        v_known[f.customer], b.body
      FROM unnest(p_fact_customers, p_fact_ids, p_fact_providers, p_fact_subjects, p_fact_ranks, p_fact_times)
        WITH ORDINALITY AS f (customer, id, provider, subject, rank, occurred_at, place)
        CROSS JOIN LATERAL (SELECT p_fact_bodies -> (f.place - 1)::integer AS body) AS b
      WHERE p_customers[f.customer] = ANY (v_written)
      ON CONFLICT DO NOTHING;
  END IF;
  IF p_nudges <> '[]' THEN
    INSERT INTO nudges AS present (
        company_id, id, case_id, customer_id, step, channel, status, reason, incentive, due_at, attempts
      )
      SELECT p_company, r.id, r.case_id, r.customer_id, r.step, r.channel, r.status, r.reason,
        r.incentive, r.due_at, r.attempts
      FROM jsonb_populate_recordset(NULL::nudges, p_nudges) AS r WHERE r.customer_id = ANY (v_written)
      ON CONFLICT (company_id, id) DO UPDATE SET
        status = excluded.status, reason = excluded.reason, due_at = excluded.due_at
        WHERE present.status = 'suppressed';
  END IF;
  IF p_nudge_changes <> '[]' THEN
    -- Only the columns that a change names are changed.
    UPDATE nudges n SET (status, reason, due_at, attempts, sent_at, lease_owner, lease_until) = (
        SELECT r.status, r.reason, r.due_at, r.attempts, r.sent_at, r.lease_owner, r.lease_until
          FROM jsonb_populate_record(n, given.change) AS r
      )
      FROM jsonb_to_recordset(p_nudge_changes) AS given (customer_id text, id text, change jsonb)
      WHERE n.company_id = p_company AND n.id = given.id AND given.customer_id = ANY (v_written);
  END IF;
  IF p_consents <> '[]' THEN
    INSERT INTO consents (company_id, customer_id, purpose, is_granted, via, changed_at)
      SELECT p_company, r.customer_id, 'recovery_messages', false, r.via, r.changed_at
      FROM jsonb_populate_recordset(NULL::consents, p_consents) AS r WHERE r.customer_id = ANY (v_written)
      ON CONFLICT DO NOTHING;
  END IF;
  IF p_incentives <> '[]' THEN
    INSERT INTO incentives (company_id, customer_id, id, case_id, incentive, receipt_id, created_at)
      SELECT p_company, r.customer_id, r.id, r.case_id, r.incentive, r.receipt_id, r.created_at
      FROM jsonb_populate_recordset(NULL::incentives, p_incentives) AS r WHERE r.customer_id = ANY (v_written)
      ON CONFLICT DO NOTHING;
  END IF;
  IF p_milestones <> '[]' THEN
    INSERT INTO milestones (company_id, customer_id, key, kind, detail, reached_at, recorded_at, announcement)
      SELECT p_company, r.customer_id, r.key, r.kind, r.detail, r.reached_at, p_now, r.announcement
      FROM jsonb_populate_recordset(NULL::milestones, p_milestones) AS r WHERE r.customer_id = ANY (v_written)
      ON CONFLICT DO NOTHING;
  END IF;
  IF p_contacts <> '[]' THEN
    IF cardinality(v_written) < cardinality(p_customers) THEN
      SELECT coalesce(jsonb_agg(c), '[]') INTO p_contacts
        FROM jsonb_array_elements(p_contacts) AS c WHERE c ->> 'customer_id' = ANY (v_written);
    END IF;
    INSERT INTO customer_keys (company_id, customer_id, wrapped)
      SELECT p_company, r.customer_id, decode(r.wrapped, 'base64')
      FROM jsonb_to_recordset(p_contacts) AS r (customer_id text, wrapped text) WHERE r.wrapped IS NOT NULL;
    INSERT INTO customer_pii (company_id, customer_id, sealed, updated_at, indexed_version)
      SELECT p_company, r.customer_id, decode(r.sealed, 'base64'), p_now, r.version
      FROM jsonb_to_recordset(p_contacts) AS r (customer_id text, sealed text, version integer)
      ON CONFLICT (company_id, customer_id) DO UPDATE SET
        sealed = excluded.sealed, updated_at = excluded.updated_at, indexed_version = excluded.indexed_version;
    PERFORM set_contact_addresses(p_contacts);
  END IF;

  IF cardinality(p_event_ids) > 0 THEN
    UPDATE webhook_events e SET status = 'processed', processed_at = p_now, next_attempt_at = NULL, error = NULL
      WHERE e.company_id = p_company AND e.received_at = ANY (p_events_received) AND e.id = ANY (ARRAY(
        SELECT given.id FROM unnest(p_event_customers, p_event_ids) AS given (customer, id)
          WHERE p_customers[given.customer] = ANY (v_written)
      ));
  END IF;
END
$$;
--> statement-breakpoint
-- How many more events of a customer may be processed, of `p_max` in the hour before `p_now`. Near the limit, transactions that record events of one customer are
-- serialized, so that each sees the events of those before it. Far from the limit they are not: if more than 50 events
-- of one customer are recorded at the same time, the limit is exceeded by at most the number beyond 50.
CREATE OR REPLACE FUNCTION events_left(p_customer_id text, p_max integer, p_now timestamptz) RETURNS integer
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  v_left integer;
BEGIN
  FOR v_look IN 1..2 LOOP
    SELECT p_max - count(*) INTO v_left FROM recent_events(app_company(), p_customer_id, p_max, p_now);
    EXIT WHEN v_look = 2 OR v_left <= 0 OR v_left > 50;
    PERFORM pg_advisory_xact_lock(hashtextextended('events|' || app_company() || '|' || p_customer_id, 0));
  END LOOP;
  RETURN v_left;
END
$$;
--> statement-breakpoint
-- The earliest `known_at` of a fact that is written now: not before `p_at`, and after the time of
-- the customer's last score, which states what was known then. The caller holds the knowledge lock.
CREATE OR REPLACE FUNCTION known_from(p_customer_id text, p_at timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT known_at FROM known_times(app_company(), ARRAY[p_customer_id], ARRAY[p_at])
$$;
--> statement-breakpoint
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
--> statement-breakpoint
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
