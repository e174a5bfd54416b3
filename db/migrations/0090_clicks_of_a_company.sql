-- The funnel of the overview: links that members of a company opened since a time. Holds clicks only.
CREATE INDEX facts_clicks ON facts (company_id, occurred_at) WHERE kind = 'link_clicked';
