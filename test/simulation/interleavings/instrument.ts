/**
 * Database functions that can be paused between two statements. After each statement of a PL/pgSQL body a call of
 * `simulation.pause` is inserted, which counts and, at the stops of the schedule, waits for a lock of the scheduler.
 */

/** A condition, because PERFORM would change FOUND. */
const PAUSE = " IF simulation.pause() THEN END IF;"

/** What the database for interleavings has in addition. The schema `simulation` exists already. */
export const PREPARE_PAUSES: readonly string[] = [
  "DROP TRIGGER note ON facts; DROP TRIGGER note_insert ON nudges; DROP TRIGGER note_update ON nudges",
  "GRANT USAGE ON SCHEMA simulation TO PUBLIC",
  // At a stop it reports that, and waits until the scheduler releases the lock of this stop.
  `CREATE FUNCTION simulation.pause() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
  DECLARE
    v_at integer := current_setting('simulation.at')::integer + 1;
    v_stops text := current_setting('simulation.stops');
    v_key integer;
  BEGIN
    PERFORM set_config('simulation.at', v_at::text, false);
    IF position(',' || v_at || '=' IN v_stops) > 0 THEN
      v_key := substring(v_stops FROM ',' || v_at || '=(\\d+)')::integer;
      RAISE NOTICE 'simulation paused';
      PERFORM pg_advisory_lock(7777, v_key);
      PERFORM pg_advisory_unlock(7777, v_key);
    END IF;
    RETURN false;
  END $$`,
  `DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET simulation.at = 0', current_database());
    EXECUTE format('ALTER DATABASE %I SET simulation.stops = ''''', current_database());
  END $$`,
]

/** The statement that creates a function with pauses; unchanged if it is not PL/pgSQL. */
export function instrumented(statement: string): string {
  const [whole, tag = ""] = /AS (\$\w*\$)/.exec(statement) ?? []
  if (whole === undefined || !/LANGUAGE plpgsql/i.test(statement)) return statement
  const from = statement.indexOf(whole) + whole.length
  const to = statement.lastIndexOf(tag)
  return statement.slice(0, from) + withPauses(statement.slice(from, to)) + statement.slice(to)
}

const TOKEN = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"[^"]*"|[A-Za-z_]\w*|[\s\S]/g

/** Inserts pauses after the statements of blocks, not among declarations or after the end of the body. */
function withPauses(body: string): string {
  const tokens: readonly string[] = body.match(TOKEN) ?? []
  const last = tokens.lastIndexOf("END")
  let isDeclaring = false
  let out = ""
  tokens.forEach((token, place) => {
    const word = token.toUpperCase()
    if (word === "DECLARE") isDeclaring = true
    out += token
    if (word === "BEGIN") {
      isDeclaring = false
      out += PAUSE
    } else if (token === ";" && !isDeclaring && place < last) {
      out += PAUSE
    }
  })
  return out
}
