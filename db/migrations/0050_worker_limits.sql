-- The Worker waits for seconds (DATABASE_TIMEOUT_MS) and then goes away; Postgres does not notice that over HTTP. These limits
-- end what nobody waits for any more, so that it holds no connection and no lock. They apply to sessions that begin from now on.
--   statement_timeout                    30 s: the largest DATABASE_TIMEOUT_MS; no statement of the Worker takes a second
--   lock_timeout                          5 s: a statement that waits so long has lost its caller, and others queue behind it
--   idle_in_transaction_session_timeout  10 s: a batch is sent whole, so a transaction that idles has lost its client
DO $$
BEGIN
  ALTER ROLE churn_worker SET statement_timeout = '30s';
  ALTER ROLE churn_worker SET lock_timeout = '5s';
  ALTER ROLE churn_worker SET idle_in_transaction_session_timeout = '10s';
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING 'churn_worker has no time limits: it was made by another role; run ALTER ROLE … SET of migration 0050 as that role';
END
$$;
