-- A plan that is made while a table is small or without statistics is kept in the sessions of the Worker, also while the table
-- grows. Where two indexes begin with company_id, such a plan may use the wrong one, and then reads everything of a company. So
-- on tables that webhooks look up in:
--   * an index begins with what identifies the rows; company_id comes after it, in primary keys, or is left out: the ids of
--     providers are their own, and what another company has under the same id is filtered;
--   * an index of a list of a company begins with company_id and is partial on a condition that is always true
--     (`… < 'infinity'`). Only queries that state this condition can use it: the lists.
ALTER TABLE webhook_events DROP CONSTRAINT webhook_events_pkey;
--> statement-breakpoint
DROP INDEX webhook_events_by_arrival;
--> statement-breakpoint
-- The event list, newest first.
CREATE INDEX webhook_events_by_arrival ON webhook_events (company_id, received_at DESC, id DESC) WHERE received_at < 'infinity';
--> statement-breakpoint
DROP INDEX webhook_events_by_customer;
--> statement-breakpoint
-- The events of one customer: its list, and how many there were within the hour.
CREATE INDEX webhook_events_by_customer ON webhook_events (customer_id, received_at DESC, id);
--> statement-breakpoint
-- The search by the provider's id finds the event through webhook_event_keys.
DROP INDEX webhook_events_by_provider_id;
--> statement-breakpoint
DROP INDEX webhook_event_keys_by_event;
--> statement-breakpoint
-- Finds the partition of an event by its id (GET /api/events/:id).
CREATE INDEX webhook_event_keys_by_event ON webhook_event_keys (event_id);
--> statement-breakpoint
ALTER TABLE webhook_event_keys DROP CONSTRAINT webhook_event_keys_pkey;
--> statement-breakpoint
ALTER TABLE facts DROP CONSTRAINT facts_pkey;
--> statement-breakpoint
DROP INDEX facts_by_subject;
--> statement-breakpoint
-- A customer's ledger in ledger order.
CREATE INDEX facts_by_subject ON facts (subject, provider, occurred_at, rank, id);
--> statement-breakpoint
ALTER TABLE object_links DROP CONSTRAINT object_links_pkey;
--> statement-breakpoint
DROP INDEX object_links_by_root;
--> statement-breakpoint
DROP INDEX object_links_of_customer;
--> statement-breakpoint
-- The objects of a root: how many there are, and those that are to be moved under another root.
CREATE INDEX object_links_by_root ON object_links (root_id, is_customer);
--> statement-breakpoint
DROP INDEX object_links_with_facts;
--> statement-breakpoint
-- Objects of a customer under which facts are stored, for its whole ledger.
CREATE INDEX object_links_with_facts ON object_links (root_id) WHERE holds_facts;
--> statement-breakpoint
DROP INDEX customers_by_age;
--> statement-breakpoint
-- The customer list, newest first.
CREATE INDEX customers_by_age ON customers (company_id, created_at DESC, id DESC) WHERE created_at < 'infinity';
--> statement-breakpoint
DROP INDEX customers_by_provider_id;
--> statement-breakpoint
CREATE INDEX customers_by_provider_id ON customers (provider_customer_id);
--> statement-breakpoint
ALTER TABLE nudges DROP CONSTRAINT nudges_pkey;
--> statement-breakpoint
DROP INDEX nudges_by_customer;
--> statement-breakpoint
-- The nudges of a customer, the latest due time first.
CREATE INDEX nudges_by_customer ON nudges (customer_id, due_at DESC, id);
--> statement-breakpoint
DROP INDEX nudges_by_due;
--> statement-breakpoint
-- The list of nudges, the latest due time first.
CREATE INDEX nudges_by_due ON nudges (company_id, due_at DESC, id DESC) WHERE due_at < 'infinity';
--> statement-breakpoint
ALTER TABLE customer_addresses DROP CONSTRAINT customer_addresses_pkey;
--> statement-breakpoint
DROP INDEX customer_addresses_by_address;
--> statement-breakpoint
-- The customers who share an address.
CREATE INDEX customer_addresses_by_address ON customer_addresses (address);
--> statement-breakpoint
-- Last: of two plans of the same cost Postgres takes the one with the newer index, and a single row is looked up by its key.
ALTER TABLE webhook_events ADD PRIMARY KEY (received_at, id, company_id);
--> statement-breakpoint
ALTER TABLE webhook_event_keys ADD PRIMARY KEY (provider_event_id, account, provider, company_id);
--> statement-breakpoint
ALTER TABLE facts ADD PRIMARY KEY (id, occurred_at, company_id);
--> statement-breakpoint
ALTER TABLE object_links ADD PRIMARY KEY (object_id, provider, company_id);
--> statement-breakpoint
ALTER TABLE nudges ADD PRIMARY KEY (id, company_id);
--> statement-breakpoint
ALTER TABLE customer_addresses ADD PRIMARY KEY (customer_id, company_id, kind, address);
