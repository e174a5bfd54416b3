-- The cases of a subscription: the list of cases with that filter. Other filters without an index search a bounded number of rows.
CREATE INDEX recovery_cases_by_subscription ON recovery_cases (subscription_id, opened_at DESC, id DESC)
  WHERE subscription_id IS NOT NULL;
