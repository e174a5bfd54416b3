-- Callers: churn_worker
-- Whether a delivery would link a new object to a customer, or to an object whose customer is unknown, that already has
-- 10 000 links. The links of all roots that the delivery joins are counted together.
CREATE OR REPLACE FUNCTION has_too_many_links(p jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
  WITH objects AS MATERIALIZED (SELECT DISTINCT jsonb_array_elements_text(p -> 'objects') AS id),
  known AS MATERIALIZED (
    SELECT l.root_id, l.is_customer FROM objects o JOIN object_links l
      ON l.company_id = app_company() AND l.provider = p ->> 'provider' AND l.object_id = o.id
  ),
  roots AS (
    SELECT k.root_id, k.is_customer FROM known k
    UNION SELECT p ->> 'customer', true WHERE p ->> 'customer' IS NOT NULL
  )
  SELECT (SELECT count(*) FROM objects) > (SELECT count(*) FROM known k WHERE k.is_customer)
    AND (SELECT coalesce(sum(n.links), 0) FROM roots r CROSS JOIN LATERAL (
      SELECT count(*) AS links FROM (
        SELECT FROM object_links l
        WHERE l.company_id = app_company() AND l.provider = p ->> 'provider' AND l.root_id = r.root_id
          AND l.is_customer = r.is_customer
        LIMIT 10000
      ) AS counted
    ) AS n) >= 10000
$$;
