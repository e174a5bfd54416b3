-- Callers: churn_worker
-- `known_from` for customers, by place; null: there is no customer. One query, so that it becomes a part of the query that
-- calls it.
CREATE OR REPLACE FUNCTION known_times(p_company text, p_customers text[], p_times timestamptz[])
RETURNS TABLE (place integer, known_at timestamptz) LANGUAGE sql STABLE AS $$
  SELECT c.place::integer, greatest(c.at, s.as_of + interval '1 millisecond')
  FROM unnest(p_customers, p_times) WITH ORDINALITY AS c (id, at, place)
  LEFT JOIN LATERAL (
    SELECT k.as_of FROM customer_scores k WHERE k.company_id = p_company AND k.customer_id = c.id OFFSET 0
  ) AS s ON true
$$;
