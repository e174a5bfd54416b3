DROP FUNCTION commit_streams(text, timestamptz, text[], integer[], jsonb, boolean[], timestamptz[], text[], text[], text[], jsonb, jsonb, jsonb, jsonb, integer[], text[], text[], text[], smallint[], timestamptz[], jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, integer[], uuid[], timestamptz[]);
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
    INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
      SELECT p_company, f.id, f.provider, f.subject, b.body ->> 'kind', f.rank, f.occurred_at, p_now,
        known_from(p_customers[f.customer], p_now), b.body
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
REVOKE EXECUTE ON FUNCTION commit_streams(text, timestamptz, text[], integer[], jsonb, jsonb, boolean[], timestamptz[], text[], text[], text[], jsonb, jsonb, jsonb, jsonb, integer[], text[], text[], text[], smallint[], timestamptz[], jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, integer[], uuid[], timestamptz[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION commit_streams(text, timestamptz, text[], integer[], jsonb, jsonb, boolean[], timestamptz[], text[], text[], text[], jsonb, jsonb, jsonb, jsonb, integer[], text[], text[], text[], smallint[], timestamptz[], jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, integer[], uuid[], timestamptz[]) TO churn_worker;
--> statement-breakpoint
DROP FUNCTION ledger_facts(text, text, text, boolean, timestamptz, smallint, text, integer);
--> statement-breakpoint
-- The next facts of a customer in ledger order, at most `p_limit`, after a position. `p_with_objects`: with the facts of
-- all objects that were linked to the customer. `p_with_own`: with our own actions, which are written in one transaction
-- with the state that contains them, and move no position. `known_at` is when a fact was first known of the customer: recorded, and its object linked to the customer.
-- One query, so that it becomes a part of the query that calls it.
CREATE OR REPLACE FUNCTION ledger_facts(
  p_company text, p_provider text, p_customer text, p_with_objects boolean, p_with_own boolean, p_at timestamptz,
  p_rank smallint, p_id text, p_limit integer
)
RETURNS TABLE (id text, occurred_at timestamptz, rank smallint, body jsonb, known_at timestamptz) LANGUAGE sql STABLE AS $$
  SELECT f.id, f.occurred_at, f.rank, f.body, f.known_at
  FROM (
    SELECT p_customer AS id, NULL::timestamptz AS linked_at
    UNION ALL
    SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
      WHERE p_with_objects AND l.company_id = p_company AND l.provider = p_provider AND l.is_customer AND l.holds_facts
        AND l.root_id = p_customer
  ) AS s CROSS JOIN LATERAL (
    -- One look-up per subject, in index order and up to the limit.
    SELECT o.id, o.occurred_at, o.rank, o.body, greatest(coalesce(o.known_at, o.recorded_at), s.linked_at) AS known_at
    FROM facts o
    WHERE o.company_id = p_company AND o.provider = p_provider AND o.subject = s.id
      -- Enables partition pruning, which the row comparison alone does not.
      AND o.occurred_at >= p_at AND (o.occurred_at, o.rank, o.id) > (p_at, p_rank, p_id)
      AND (p_with_own OR o.rank NOT BETWEEN 69 AND 76)
    ORDER BY o.occurred_at, o.rank, o.id LIMIT p_limit
  ) AS f
  ORDER BY f.occurred_at, f.rank, f.id LIMIT p_limit
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION ledger_facts(text, text, text, boolean, boolean, timestamptz, smallint, text, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION ledger_facts(text, text, text, boolean, boolean, timestamptz, smallint, text, integer) TO churn_worker;
--> statement-breakpoint
-- The next facts of a customer in ledger order, at most `p_limit` (null: 2000): `facts` are those after `p_after` (null:
-- from the beginning; `p_is_whole`: with the facts of objects and our own actions); `next` is the position after which the next page starts, null on the last page. See `ledger_facts`.
CREATE OR REPLACE FUNCTION ledger_page(
  p_customer customers, p_is_whole boolean, p_after jsonb, p_limit integer
)
RETURNS jsonb LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_at timestamptz := coalesce((p_after ->> 'occurredAt')::timestamptz, '-infinity');
  v_rank smallint := coalesce((p_after ->> 'rank')::smallint, -1);
  v_id text := coalesce(p_after ->> 'id', '');
  v_limit integer := coalesce(p_limit, 2000);
  v_facts jsonb;
  v_next jsonb;
BEGIN
  -- One more than the page holds, to know whether there is another.
  SELECT
    jsonb_agg(
      jsonb_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body, 'knownAt', f.known_at) ORDER BY f.place
    ) FILTER (WHERE f.place <= v_limit),
    CASE WHEN count(*) > v_limit THEN jsonb_agg(
      jsonb_build_object('occurredAt', f.occurred_at, 'rank', f.rank, 'id', f.id)
    ) FILTER (WHERE f.place = v_limit) -> 0 END
    INTO v_facts, v_next
    FROM (
      SELECT l.*, row_number() OVER () AS place FROM ledger_facts(
        p_customer.company_id, p_customer.provider, p_customer.provider_customer_id, p_is_whole, p_is_whole, v_at, v_rank, v_id,
        v_limit + 1
      ) AS l
    ) AS f;
  RETURN jsonb_build_object('facts', coalesce(v_facts, '[]'), 'next', v_next);
END
$$;
--> statement-breakpoint
-- Everything that fold and decide need of some customers, a list with one element for each that exists. By default only
-- the facts that the snapshot does not contain yet; the whole ledger, with the facts of all objects that were linked to
-- the customer, where `p_are_whole` says so, where there is no snapshot, and where the customer's earliest new fact
-- (`p_times`, `p_ranks`, `p_facts`; null: there is none) is before the position of the snapshot. Where it is so within the
-- instant of the position, the facts of that instant (`isFromInstant`), which are folded after `undo`.
-- `facts` is the first page; `next` is where `read_facts` continues, null when there is no other page.
--
-- One statement, so that the positions and the facts after them are read in the same database snapshot.
CREATE OR REPLACE FUNCTION read_streams(
  p_customers text[], p_are_whole boolean[], p_times timestamptz[], p_ranks smallint[], p_facts text[]
) RETURNS json LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_company text := app_company();
BEGIN
  RETURN (
    SELECT coalesce(json_agg(json_build_object(
      'customer', json_build_object(
        'id', c.id, 'provider', c.provider, 'providerCustomerId', c.provider_customer_id, 'version', c.version,
        'createdAt', c.created_at
      ),
      'state', c.state,
      'isWhole', read.is_whole OR read.is_from_instant AND ledger.count > 2000,
      'isFromInstant', read.is_from_instant AND ledger.count <= 2000,
      'undo', CASE WHEN snapshot.has_undo THEN c.undo - 'version' END,
      'facts', CASE WHEN long.page IS NULL THEN coalesce(ledger.facts, '[]') ELSE (long.page -> 'facts')::json END,
      'next', long.page -> 'next',
      'nudges', (
        SELECT coalesce(json_agg(json_build_object(
          'id', n.id, 'caseId', n.case_id, 'step', n.step, 'channel', n.channel, 'status', n.status, 'reason', n.reason,
          'incentive', n.incentive, 'dueAt', n.due_at, 'attempts', n.attempts, 'sentAt', n.sent_at
        ) ORDER BY n.id), '[]')
        FROM (
          SELECT * FROM nudges m WHERE m.company_id = v_company AND m.customer_id = c.id
          ORDER BY m.due_at DESC, m.id LIMIT 2000
        ) AS n
      ),
      'companyName', (SELECT o.name FROM companies o WHERE o.id = v_company),
      'settings', (SELECT s.settings FROM company_settings s WHERE s.company_id = v_company),
      'contact', (
        SELECT encode(p.sealed, 'base64') FROM customer_pii p WHERE p.company_id = v_company AND p.customer_id = c.id
      ),
      'dataKey', (
        SELECT encode(k.wrapped, 'base64') FROM customer_keys k WHERE k.company_id = v_company AND k.customer_id = c.id
      )
    ) ORDER BY given.place), '[]')
    FROM unnest(p_customers, p_are_whole, p_times, p_ranks, p_facts)
      WITH ORDINALITY AS given (id, is_whole, occurred_at, rank, fact_id, place)
    CROSS JOIN LATERAL (
      SELECT * FROM customers k WHERE k.company_id = v_company AND k.id = given.id OFFSET 0
    ) AS c
    CROSS JOIN LATERAL (
      SELECT (s.position ->> 'occurredAt')::timestamptz AS occurred_at, (s.position ->> 'rank')::smallint AS rank,
        s.position ->> 'id' COLLATE "C" AS id, coalesce((c.undo ->> 'version')::integer = c.version, false) AS has_undo
      FROM (SELECT nullif(c.state -> 'position', 'null') AS position OFFSET 0) AS s OFFSET 0
    ) AS snapshot
    CROSS JOIN LATERAL (
      SELECT coalesce(
          (given.occurred_at, given.rank, given.fact_id COLLATE "C") <= (snapshot.occurred_at, snapshot.rank, snapshot.id),
          false
        ) AS is_late,
        -- Late within the instant of the position: the facts of that instant are enough.
        coalesce(given.occurred_at = snapshot.occurred_at, false) AND snapshot.has_undo AS is_in_instant OFFSET 0
    ) AS earliest
    CROSS JOIN LATERAL (
      SELECT given.is_whole OR snapshot.occurred_at IS NULL OR earliest.is_late AND NOT earliest.is_in_instant AS is_whole,
        NOT given.is_whole AND earliest.is_late AND earliest.is_in_instant AS is_from_instant OFFSET 0
    ) AS read
    CROSS JOIN LATERAL (
      SELECT CASE WHEN read.is_whole THEN '-infinity' ELSE snapshot.occurred_at END AS occurred_at,
        CASE WHEN read.is_whole OR read.is_from_instant THEN -1 ELSE snapshot.rank END::smallint AS rank,
        CASE WHEN read.is_whole OR read.is_from_instant THEN '' ELSE snapshot.id END AS id OFFSET 0
    ) AS start
    CROSS JOIN LATERAL (
      SELECT count(*) AS count,
        json_agg(json_build_object('id', l.id, 'occurredAt', l.occurred_at, 'body', l.body, 'knownAt', l.known_at)) AS facts
      FROM ledger_facts(
        v_company, c.provider, c.provider_customer_id, read.is_whole OR read.is_from_instant, read.is_whole,
        start.occurred_at, start.rank, start.id, 2001
      ) AS l
    ) AS ledger
    CROSS JOIN LATERAL (
      -- More facts in one instant than a page holds: the whole ledger.
      SELECT CASE WHEN ledger.count > 2000 THEN (
        SELECT ledger_page(
            k, read.is_whole OR read.is_from_instant,
            CASE WHEN NOT (read.is_whole OR read.is_from_instant) THEN k.state -> 'position' END, NULL
          ) FROM customers k WHERE k.company_id = v_company AND k.id = c.id
      ) END AS page OFFSET 0
    ) AS long
  );
END
$$;
--> statement-breakpoint
-- `set_contact_addresses` of one customer, with the version of the key.
CREATE OR REPLACE FUNCTION set_addresses(p_customer_id text, p_kinds text[], p_addresses text[], p_version integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_contact_addresses(jsonb_build_array(
    jsonb_build_object('customer_id', p_customer_id, 'kinds', to_jsonb(p_kinds), 'addresses', to_jsonb(p_addresses))
  ));
  UPDATE customer_pii p SET indexed_version = p_version
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id;
END
$$;
--> statement-breakpoint
-- Replaces the addresses of customers: `p_contacts` is a list of `customer_id`, `kinds` and `addresses` (hexadecimal).
-- Earlier ones stay if the customer has opted out.
CREATE OR REPLACE FUNCTION set_contact_addresses(p_contacts jsonb) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_company text := app_company();
BEGIN
  DELETE FROM customer_addresses a
    WHERE a.company_id = v_company
      AND a.customer_id = ANY (ARRAY(SELECT c ->> 'customer_id' FROM jsonb_array_elements(p_contacts) AS c))
      AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(p_contacts) AS c
        WHERE c ->> 'customer_id' = a.customer_id AND c -> 'addresses' ? encode(a.address, 'hex')
      )
      AND NOT EXISTS (
        SELECT FROM consents o
        WHERE o.company_id = v_company AND o.customer_id = a.customer_id AND o.purpose = 'recovery_messages'
          AND NOT o.is_granted
      );
  INSERT INTO customer_addresses (company_id, customer_id, kind, address)
    SELECT v_company, c ->> 'customer_id', kind.name, decode(c -> 'addresses' ->> (kind.place - 1)::integer, 'hex')
      FROM jsonb_array_elements(p_contacts) AS c
      CROSS JOIN LATERAL jsonb_array_elements_text(c -> 'kinds') WITH ORDINALITY AS kind (name, place)
    ON CONFLICT DO NOTHING;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION set_contact_addresses(jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION set_contact_addresses(jsonb) TO churn_worker;
