-- The Worker's role can do what the Worker does and no more. A function that runs with the rights of another role
-- (SECURITY DEFINER) must not find objects that its caller made: pg_temp is searched first unless it is named, so the
-- next migration names it last, and here nobody but the owner may make temporary objects at all.
DO $$
BEGIN
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM churn_worker', current_database());
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING 'TEMPORARY stays granted: the database belongs to another role; revoke it as that role';
END
$$;
--> statement-breakpoint
-- Keys and accounts are added by an operator. Whoever can write them can be any company.
REVOKE INSERT, UPDATE ON api_keys, company_accounts FROM churn_worker;
--> statement-breakpoint
-- Switches and jobs belong to no company: a transaction that has entered one neither sees nor changes them.
DO $$
DECLARE
  deployment_table text;
BEGIN
  FOREACH deployment_table IN ARRAY ARRAY['flags', 'flag_changes', 'job_runs', 'job_states', 'rescore_passes'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', deployment_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', deployment_table);
    EXECUTE format(
      'CREATE POLICY deployment ON %I TO churn_worker USING (coalesce(app_company(), '''') = '''') '
      'WITH CHECK (coalesce(app_company(), '''') = '''')',
      deployment_table
    );
  END LOOP;
END
$$;
--> statement-breakpoint
CREATE POLICY system ON rescore_passes FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
-- Bodies of earlier versions with other arguments, which nothing calls any more.
DROP FUNCTION claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer);
--> statement-breakpoint
DROP FUNCTION unfinished_events(timestamptz, integer);
