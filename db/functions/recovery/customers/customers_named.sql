-- Callers: churn_worker
-- By place, our id of the customer of each delivery: the one it names, else the one its objects are linked to; null while
-- it is unknown. `is_crowded`: the delivery would link a new object to a customer, or to an object whose customer is
-- unknown, that already has 10 000 links; the links of all roots that it joins are counted together. Deliveries and
-- objects are parallel arrays; an object names its delivery by its place.
CREATE OR REPLACE FUNCTION customers_named(
  p_providers text[], p_customers text[], p_object_events integer[], p_objects text[]
)
RETURNS TABLE (place integer, customer_id text, is_crowded boolean) LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_company text := app_company();
BEGIN
  RETURN QUERY
    WITH objects AS MATERIALIZED (
      SELECT o.event, o.id, l.root_id, coalesce(l.is_customer, false) AS is_customer
      FROM unnest(p_object_events, p_objects) AS o (event, id)
      LEFT JOIN LATERAL (
        SELECT k.root_id, k.is_customer FROM object_links k
          WHERE k.company_id = v_company AND k.provider = p_providers[o.event] AND k.object_id = o.id OFFSET 0
      ) AS l ON true
    )
    SELECT e.place::integer, e.provider || '_' || coalesce(e.customer, (
        SELECT min(o.root_id) FROM objects o WHERE o.event = e.place AND o.is_customer
      )),
      EXISTS (SELECT FROM objects o WHERE o.event = e.place AND NOT o.is_customer) AND (
        SELECT coalesce(sum(n.links), 0) FROM (
          SELECT o.root_id, o.is_customer FROM objects o WHERE o.event = e.place AND o.root_id IS NOT NULL
          UNION SELECT e.customer, true WHERE e.customer IS NOT NULL
        ) AS r CROSS JOIN LATERAL (
          SELECT count(*) AS links FROM (
            SELECT FROM object_links l
            WHERE l.company_id = v_company AND l.provider = e.provider AND l.root_id = r.root_id
              AND l.is_customer = r.is_customer
            LIMIT 10000
          ) AS counted
        ) AS n
      ) >= 10000
    FROM unnest(p_providers, p_customers) WITH ORDINALITY AS e (provider, customer, place);
END
$$;
