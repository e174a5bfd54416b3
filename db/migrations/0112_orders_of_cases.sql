-- Open cases by amount: the list of cases in that order. A closed case leaves the index.
CREATE INDEX recovery_cases_by_amount ON recovery_cases (company_id, amount_minor DESC, id DESC) WHERE status = 'open';
--> statement-breakpoint
-- Closed cases of a status, the last closed first: the list of cases in that order.
CREATE INDEX recovery_cases_by_closing ON recovery_cases (company_id, status, closed_at DESC, id DESC)
  WHERE closed_at IS NOT NULL;
