-- Callers: churn_worker
-- Creates the partitions of the current and the next months for every table that is partitioned by time.
CREATE OR REPLACE FUNCTION ensure_partitions(p_now timestamptz, p_months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  v_table text;
  v_name text;
  v_from date;
  v_made integer := 0;
BEGIN
  -- Both heartbeats of the scheduler call this in the same second; the later one finds everything created.
  PERFORM pg_advisory_xact_lock(hashtextextended('ensure_partitions', 0));
  FOR v_table IN
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'p' ORDER BY 1
  LOOP
    FOR v_offset IN 0..least(p_months_ahead, 24) LOOP
      v_from := (date_trunc('month', p_now AT TIME ZONE 'UTC') + make_interval(months => v_offset))::date;
      v_name := v_table || to_char(v_from, '_YYYY_MM');
      CONTINUE WHEN to_regclass(format('public.%I', v_name)) IS NOT NULL;
      BEGIN
        EXECUTE format(
          'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
          v_name, v_table, v_from::text || ' 00:00+00', (v_from + interval '1 month')::date::text || ' 00:00+00'
        );
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', v_name);
        EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', v_name);
        v_made := v_made + 1;
      EXCEPTION WHEN check_violation THEN
        -- The default partition holds rows of that month already; they stay there.
        NULL;
      END;
    END LOOP;
  END LOOP;
  RETURN v_made;
END
$$;
