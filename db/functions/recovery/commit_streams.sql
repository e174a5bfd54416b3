-- Callers: churn_worker
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
    -- A Worker of before there were names writes none; the next run of `sweep` indexes them.
    INSERT INTO customer_pii (company_id, customer_id, sealed, updated_at, indexed_version, names_version)
      SELECT p_company, r.customer_id, decode(r.sealed, 'base64'), p_now, r.version,
        CASE WHEN r.names IS NOT NULL THEN r.version END
      FROM jsonb_to_recordset(p_contacts) AS r (customer_id text, sealed text, version integer, names jsonb)
      ON CONFLICT (company_id, customer_id) DO UPDATE SET
        sealed = excluded.sealed, updated_at = excluded.updated_at, indexed_version = excluded.indexed_version,
        names_version = excluded.names_version;
    PERFORM set_contact_addresses(p_contacts);
    PERFORM set_contact_names(p_contacts);
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
