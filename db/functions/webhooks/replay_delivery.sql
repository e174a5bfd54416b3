-- Callers: churn_worker
-- Processes a stored event again: adds facts that were not in the ledger, and returns the
-- customer's whole stream; null when the customer is still unknown. A thin event gets its customer here, and is dead if
-- that customer has too many events; so is any event with too many links.
CREATE OR REPLACE FUNCTION replay_delivery(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_placed record;
  v_customer_id text;
  v_reason text;
BEGIN
  -- Only thin events have `customerEventsMax`. One that has a customer was counted before.
  IF p ? 'customerEventsMax' AND EXISTS (
    SELECT FROM webhook_events e
    WHERE e.company_id = app_company() AND e.id = (p ->> 'eventId')::uuid
      AND e.received_at = (p ->> 'receivedAt')::timestamptz AND e.customer_id IS NULL
  ) THEN
    v_customer_id := customer_named_by(p);
  END IF;
  v_reason := reason_to_set_aside(p, CASE WHEN v_customer_id IS NOT NULL THEN
    events_left(v_customer_id, (p ->> 'customerEventsMax')::integer, (p ->> 'receivedAt')::timestamptz)
  END);
  IF v_reason IS NOT NULL THEN
    UPDATE webhook_events e SET status = 'dead', error = v_reason, next_attempt_at = NULL, attempts = e.attempts + 1,
        customer_id = coalesce(e.customer_id, customer_named_by(p))
      WHERE e.company_id = app_company() AND e.id = (p ->> 'eventId')::uuid
        AND e.received_at = (p ->> 'receivedAt')::timestamptz;
    RETURN jsonb_build_object('setAside', v_reason);
  END IF;

  SELECT * INTO v_placed FROM place_facts(p);
  UPDATE webhook_events e SET subject = v_placed.subject, customer_id = v_placed.customer_id, error = p ->> 'error',
      -- Also an event without facts is unfinished until facts that were linked to their customer through it are folded.
      status = CASE
        WHEN v_placed.customer_id IS NULL OR (p ->> 'status' = 'unhandled' AND NOT v_placed.has_joined) THEN p ->> 'status'
        ELSE 'received' END,
      attempts = e.attempts + 1, next_attempt_at = (p ->> 'nextAttemptAt')::timestamptz
    WHERE e.company_id = app_company() AND e.id = (p ->> 'eventId')::uuid
      AND e.received_at = (p ->> 'receivedAt')::timestamptz;
  RETURN CASE WHEN v_placed.customer_id IS NOT NULL THEN read_stream(v_placed.customer_id, false) END;
END
$$;
