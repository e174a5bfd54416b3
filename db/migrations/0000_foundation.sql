-- The foundation: tenants, the ledger, the projections of state, and the work that is due.
-- Ids that are ordered or compared use COLLATE "C", so that the database and the code sort alike.

CREATE TABLE companies (
  id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
-- Which company a provider's account belongs to. The account is globally unique at its provider.
CREATE TABLE company_accounts (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  provider text NOT NULL,
  account_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (provider, account_id)
);
--> statement-breakpoint
-- Signing secrets of a company's own endpoint, sealed; several at once while one is being rotated.
CREATE TABLE webhook_secrets (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id text COLLATE "C" NOT NULL,
  provider text NOT NULL,
  sealed bytea NOT NULL,
  expires_at timestamptz,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
CREATE TABLE company_settings (
  company_id text COLLATE "C" PRIMARY KEY REFERENCES companies (id),
  settings jsonb NOT NULL,
  updated_at timestamptz NOT NULL
);
--> statement-breakpoint
-- Keys are shown once and kept as SHA-256.
CREATE TABLE api_keys (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('success-analyst', 'success-manager', 'admin')),
  hash bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL,
  revoked_at timestamptz,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- The permanent key of an event. webhook_events is partitioned by arrival, which a redelivery does not repeat, so the
-- key stands apart and outlives the partition that held the payload.
CREATE TABLE webhook_event_keys (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  provider text NOT NULL,
  account text COLLATE "C" NOT NULL,
  provider_event_id text COLLATE "C" NOT NULL,
  event_id uuid NOT NULL,
  received_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, provider, account, provider_event_id)
);
--> statement-breakpoint
-- Finds the partition of an event by its id (GET /api/events/:id).
CREATE INDEX webhook_event_keys_by_event ON webhook_event_keys (company_id, event_id);
--> statement-breakpoint
CREATE TABLE webhook_events (
  company_id text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  provider text NOT NULL,
  account text COLLATE "C" NOT NULL,
  provider_event_id text COLLATE "C" NOT NULL,
  type text NOT NULL,
  api_version text,
  status text NOT NULL CHECK (status IN ('received', 'held', 'processed', 'unhandled', 'failed', 'dead')),
  attempts integer NOT NULL DEFAULT 0,
  -- The customer, or the object under whose id its facts wait.
  subject text COLLATE "C",
  customer_id text COLLATE "C",
  occurred_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  processed_at timestamptz,
  next_attempt_at timestamptz,
  error text,
  -- The raw body, sealed under the company's key of the month; null once purged.
  payload bytea,
  PRIMARY KEY (company_id, id, received_at)
) PARTITION BY RANGE (received_at);
--> statement-breakpoint
-- The event list, newest first.
CREATE INDEX webhook_events_by_arrival ON webhook_events (company_id, received_at DESC, id DESC);
--> statement-breakpoint
-- The event list of one customer, and the search for one event by the provider's id.
CREATE INDEX webhook_events_by_customer ON webhook_events (company_id, customer_id, received_at DESC, id DESC);
--> statement-breakpoint
CREATE INDEX webhook_events_by_provider_id ON webhook_events (company_id, provider_event_id);
--> statement-breakpoint
-- Work left over: what the sweeper looks for. Tiny, because nearly everything is processed.
CREATE INDEX webhook_events_unfinished ON webhook_events (next_attempt_at) WHERE status IN ('received', 'failed', 'held');
--> statement-breakpoint
CREATE TABLE webhook_events_default PARTITION OF webhook_events DEFAULT;
--> statement-breakpoint
-- The ledger: what happened, without personal data. Only ever appended to.
-- Partitioned by when it happened: a redelivery repeats that, so (id, occurred_at) is unique over all partitions.
CREATE TABLE facts (
  company_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  provider text NOT NULL,
  subject text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  rank smallint NOT NULL,
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  event_id uuid,
  body jsonb NOT NULL,
  PRIMARY KEY (company_id, id, occurred_at)
) PARTITION BY RANGE (occurred_at);
--> statement-breakpoint
-- A customer's ledger in ledger order.
CREATE INDEX facts_by_subject ON facts (company_id, provider, subject, occurred_at, rank, id);
--> statement-breakpoint
CREATE TABLE facts_default PARTITION OF facts DEFAULT;
--> statement-breakpoint
-- Which customer a provider's object belongs to; until that is known, which other object it is tied to.
CREATE TABLE object_links (
  company_id text COLLATE "C" NOT NULL,
  provider text NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  root_id text COLLATE "C" NOT NULL,
  is_customer boolean NOT NULL,
  -- Facts stand in the ledger under this object's own id, from before its customer was known.
  holds_facts boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL,
  -- When the provider's API was last asked whose object this is.
  asked_at timestamptz,
  PRIMARY KEY (company_id, provider, object_id)
);
--> statement-breakpoint
-- Objects that are to be moved under another root.
CREATE INDEX object_links_by_root ON object_links (company_id, provider, root_id) WHERE NOT is_customer;
--> statement-breakpoint
-- Objects of a customer under which facts stand, for its whole ledger.
CREATE INDEX object_links_with_facts ON object_links (company_id, provider, root_id) WHERE holds_facts;
--> statement-breakpoint
-- Objects whose customer nobody has named: what the sweeper asks the provider about.
CREATE INDEX object_links_waiting ON object_links (created_at) WHERE NOT is_customer;
--> statement-breakpoint
CREATE TABLE customers (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id text COLLATE "C" NOT NULL,
  provider text NOT NULL,
  provider_customer_id text COLLATE "C" NOT NULL,
  -- Raised by every change of state, plan or contact; writers meet here.
  version integer NOT NULL DEFAULT 0,
  state jsonb,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- The customer list, newest first.
CREATE INDEX customers_by_age ON customers (company_id, created_at DESC, id DESC);
--> statement-breakpoint
CREATE INDEX customers_by_provider_id ON customers (company_id, provider_customer_id);
--> statement-breakpoint
-- The customer's own data key, wrapped. Destroying the row makes everything sealed under it unreadable.
CREATE TABLE customer_keys (
  company_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  wrapped bytea NOT NULL,
  PRIMARY KEY (company_id, customer_id),
  FOREIGN KEY (company_id, customer_id) REFERENCES customers (company_id, id)
);
--> statement-breakpoint
-- Name, addresses and personal links, sealed under the customer's data key.
CREATE TABLE customer_pii (
  company_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  sealed bytea NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, customer_id),
  FOREIGN KEY (company_id, customer_id) REFERENCES customers (company_id, id)
);
--> statement-breakpoint
CREATE TABLE subscriptions (
  company_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  provider text NOT NULL,
  status text NOT NULL,
  currency text,
  items jsonb NOT NULL,
  started_at timestamptz,
  current_period_end timestamptz,
  trial_end timestamptz,
  cancel_at timestamptz,
  ended_at timestamptz,
  PRIMARY KEY (company_id, customer_id, id)
);
--> statement-breakpoint
CREATE TABLE payments (
  company_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  invoice_id text COLLATE "C" NOT NULL,
  provider text NOT NULL,
  subscription_id text,
  status text NOT NULL,
  amount_minor bigint NOT NULL,
  currency text NOT NULL,
  refunded_minor bigint NOT NULL,
  how text,
  failed_at timestamptz,
  paid_at timestamptz,
  PRIMARY KEY (company_id, customer_id, invoice_id)
);
--> statement-breakpoint
CREATE TABLE recovery_cases (
  company_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  provider text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('payment', 'cancellation', 'at_risk')),
  status text NOT NULL CHECK (status IN ('open', 'recovered', 'lost', 'reversed')),
  subscription_id text,
  invoice_id text,
  amount_minor bigint NOT NULL,
  recovered_minor bigint NOT NULL,
  currency text,
  decline_code text,
  failure_count integer NOT NULL,
  cause text,
  opened_at timestamptz NOT NULL,
  closed_at timestamptz,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- The case list, newest first, by status.
CREATE INDEX recovery_cases_by_age ON recovery_cases (company_id, opened_at DESC, id DESC);
--> statement-breakpoint
CREATE INDEX recovery_cases_by_status ON recovery_cases (company_id, status, opened_at DESC, id DESC);
--> statement-breakpoint
CREATE INDEX recovery_cases_by_customer ON recovery_cases (company_id, customer_id);
--> statement-breakpoint
CREATE TABLE nudges (
  company_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  case_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  step integer,
  channel text NOT NULL,
  status text NOT NULL CHECK (status IN ('planned', 'sending', 'sent', 'failed', 'suppressed', 'unknown')),
  reason text,
  incentive jsonb,
  due_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  sent_at timestamptz,
  lease_owner text,
  lease_until timestamptz,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- What is due, and what a lost worker left behind: the only rows that the scheduler touches.
CREATE INDEX nudges_due ON nudges (due_at) WHERE status IN ('planned', 'sending');
--> statement-breakpoint
CREATE INDEX nudges_by_customer ON nudges (company_id, customer_id);
--> statement-breakpoint
CREATE TABLE consents (
  company_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  purpose text NOT NULL,
  is_granted boolean NOT NULL,
  via text NOT NULL,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, customer_id, purpose)
);
--> statement-breakpoint
CREATE TABLE incentives (
  company_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  case_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  incentive jsonb NOT NULL,
  receipt_id text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- When each job last ran and how it went. Names no tenant.
CREATE TABLE job_runs (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  job text NOT NULL,
  source text NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  outcome text,
  details jsonb
);
--> statement-breakpoint
CREATE INDEX job_runs_latest ON job_runs (job, started_at DESC);
