-- Taking over another store's history, and becoming another store. Until an import is finished the history is not whole:
-- nothing is appended and nothing activated (FH002). FH003: a history is here already.

-- One row while an import is under way: which export it takes over.
CREATE TABLE imports (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    export bytea NOT NULL CHECK (octet_length(export) = 32)
);

-- The lock by itself, as `lock_appends` was.
CREATE FUNCTION lock_history() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'appends need the isolation level read committed';
    END IF;
    -- An acknowledged append is on disk, whatever the server's default is. Stronger settings are left alone.
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('{schema}.append', 0));
END
$$;

CREATE OR REPLACE FUNCTION lock_appends() RETURNS void LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp AS $$
BEGIN
    PERFORM lock_history();
    IF EXISTS (SELECT FROM imports) THEN
        RAISE EXCEPTION 'an import is not finished' USING ERRCODE = 'FH002';
    END IF;
END
$$;

-- What was noted about followers is about the store that this one was.
CREATE FUNCTION become(p_id uuid) RETURNS void LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp AS $$
BEGIN
    UPDATE store SET id = p_id;
    DELETE FROM cursors;
    PERFORM pg_notify('{schema}', 'plugins');
END
$$;

CREATE FUNCTION rebase(p_id uuid) RETURNS void LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp AS $$
BEGIN
    PERFORM lock_appends();
    PERFORM become(p_id);
END
$$;

-- Begins an import, or goes on with the same one; returns the head that it stands at.
CREATE FUNCTION begin_import(p_id uuid, p_export bytea) RETURNS bigint LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp AS $$
DECLARE
    v_export bytea;
BEGIN
    PERFORM lock_history();
    SELECT export INTO v_export FROM imports;
    IF v_export IS NULL THEN
        IF EXISTS (SELECT FROM events) OR EXISTS (SELECT FROM commands) OR EXISTS (SELECT FROM active_plugins) THEN
            RAISE EXCEPTION 'the store is not empty' USING ERRCODE = 'FH003';
        END IF;
        PERFORM become(p_id);
        INSERT INTO imports (export) VALUES (p_export);
    ELSIF v_export <> p_export THEN
        RAISE EXCEPTION 'another import is not finished' USING ERRCODE = 'FH002';
    END IF;
    RETURN (SELECT coalesce(max(position), 0) FROM events);
END
$$;

-- Takes over events, behind those that are here already.
CREATE FUNCTION import_events(
    p_position bigint[], p_event_id uuid[], p_stream text[], p_version bigint[], p_type text[], p_schema_version bigint[],
    p_time timestamptz[], p_correlation text[], p_causation text[], p_actor text[], p_plugin bytea[], p_metadata text[],
    p_data text[]
) RETURNS void LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_base bigint;
BEGIN
    PERFORM lock_history();
    IF NOT EXISTS (SELECT FROM imports) THEN
        RAISE EXCEPTION 'no import was begun';
    END IF;
    SELECT coalesce(max(position), 0) INTO v_base FROM events;
    IF EXISTS (SELECT FROM unnest(p_position) WITH ORDINALITY AS e (position, number) WHERE e.position <> v_base + e.number)
        OR EXISTS (
            SELECT FROM (
                SELECT e.stream, e.version, row_number() OVER (PARTITION BY e.stream ORDER BY e.number) AS place
                FROM unnest(p_stream, p_version) WITH ORDINALITY AS e (stream, version, number)
            ) n
            WHERE n.version <> n.place + coalesce((SELECT max(h.version) FROM events h WHERE h.stream = n.stream), 0)
        ) THEN
        RAISE EXCEPTION 'positions and versions are dense';
    END IF;
    INSERT INTO events (position, event_id, stream, version, type, schema_version, recorded_at, correlation_id,
        causation_id, actor, plugin, metadata, data)
    SELECT e.position, e.event_id, e.stream, e.version, e.type, e.schema_version, e.recorded_at, e.correlation_id,
        e.causation_id, e.actor, e.plugin, e.metadata::json, e.data::json
    FROM unnest(p_position, p_event_id, p_stream, p_version, p_type, p_schema_version, p_time, p_correlation, p_causation,
        p_actor, p_plugin, p_metadata, p_data) AS e (position, event_id, stream, version, type, schema_version,
        recorded_at, correlation_id, causation_id, actor, plugin, metadata, data);
    INSERT INTO census (category, type, schema_version)
    SELECT DISTINCT split_part(e.stream, '-', 1), e.type, e.schema_version
    FROM unnest(p_stream, p_type, p_schema_version) AS e (stream, type, schema_version)
    ON CONFLICT DO NOTHING;
END
$$;

-- Takes over accepted commands; one that is here already is left as it is.
CREATE FUNCTION import_commands(
    p_actor text[], p_command text[], p_stream text[], p_name text[], p_payload text[], p_hash bytea[], p_before bigint[],
    p_after bigint[], p_position bigint[], p_time timestamptz[]
) RETURNS void LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp AS $$
BEGIN
    PERFORM lock_history();
    IF NOT EXISTS (SELECT FROM imports) THEN
        RAISE EXCEPTION 'no import was begun';
    END IF;
    INSERT INTO commands (actor, command_id, stream, name, payload, hash, before_version, after_version, position,
        recorded_at)
    SELECT c.actor, c.command_id, c.stream, c.name, c.payload::json, c.hash, c.before_version, c.after_version, c.position,
        c.recorded_at
    FROM unnest(p_actor, p_command, p_stream, p_name, p_payload, p_hash, p_before, p_after, p_position, p_time)
        AS c (actor, command_id, stream, name, payload, hash, before_version, after_version, position, recorded_at)
    ON CONFLICT (actor, command_id) DO NOTHING;
END
$$;

-- Says that the history is whole, and makes installed plugin versions active.
CREATE FUNCTION finish_import(p_active bytea[]) RETURNS void LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp AS $$
BEGIN
    PERFORM lock_history();
    DELETE FROM imports;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no import was begun';
    END IF;
    INSERT INTO active_plugins (name, digest, aggregate, activated_at)
    SELECT p.name, p.digest, p.aggregate, now() FROM plugins p WHERE p.digest = ANY (p_active);
    IF (SELECT count(*) FROM active_plugins) <> cardinality(p_active) THEN
        RAISE EXCEPTION 'an active plugin is not installed';
    END IF;
    PERFORM pg_notify('{schema}', 'plugins');
END
$$;
