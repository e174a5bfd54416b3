-- Events that name an account which is registered for no company, or not for the one in the path: kept apart from all companies
-- until it is. `path` is that company, or empty. It is a part of the key: a company signs events of its own endpoint itself, and
-- must not be able to take the place of another's.
CREATE TABLE unmapped_events (
  provider text NOT NULL,
  account text COLLATE "C" NOT NULL,
  provider_event_id text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  type text NOT NULL,
  api_version text,
  is_own_secret boolean NOT NULL,
  occurred_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY (provider, account, provider_event_id, path)
);
--> statement-breakpoint
-- The operator's list, newest first; what is drained, oldest first; what is too old.
CREATE INDEX unmapped_events_by_arrival ON unmapped_events (received_at DESC, id DESC);
--> statement-breakpoint
ALTER TABLE unmapped_events ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE unmapped_events FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
-- No company sees them: whoever has entered one has left these.
CREATE POLICY no_company ON unmapped_events TO churn_worker
  USING (coalesce(app_company(), '') = '') WITH CHECK (coalesce(app_company(), '') = '');
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON unmapped_events TO churn_worker;
--> statement-breakpoint
CREATE POLICY system ON unmapped_events FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT (provider, account, path, id, is_own_secret, received_at) ON unmapped_events TO churn_system;
--> statement-breakpoint
-- Events of the other mode are left out of the figures; they say so in `error`, which holds a reason and nothing personal.
GRANT SELECT (error) ON webhook_events TO churn_system;
