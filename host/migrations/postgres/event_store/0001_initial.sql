-- The event store. Runs in one transaction whose search path is the store's schema; `{schema}` stands for its name.
-- Text is compared byte by byte (COLLATE "C"), JSON is kept as the text that it was given as, and times are exact to the
-- microsecond. Append-only file: a change of the schema is a new file with the next number.

-- One row: which store this is. A cursor from another store is worth nothing here.
CREATE TABLE store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO store (id) VALUES (gen_random_uuid());

-- The index of (stream, version) refuses a second event at one version, finds a stream's head and reads its events.
CREATE TABLE events (
    position bigint CONSTRAINT events_position PRIMARY KEY CHECK (position > 0),
    event_id uuid NOT NULL CONSTRAINT events_event_id UNIQUE,
    stream text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    type text COLLATE "C" NOT NULL,
    schema_version bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    correlation_id text COLLATE "C" NOT NULL,
    causation_id text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL,
    -- The digest of the plugin that decided it.
    plugin bytea NOT NULL CHECK (octet_length(plugin) = 32),
    metadata json NOT NULL,
    data json NOT NULL,
    CONSTRAINT events_stream_version UNIQUE (stream, version)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are insert-only' USING ERRCODE = 'restrict_violation';
END
$$;
-- Once per statement, so that appending costs nothing.
CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Accepted commands: for idempotency, for audit, and to decide them again with another plugin version.
CREATE TABLE commands (
    actor text COLLATE "C" NOT NULL,
    command_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    payload json NOT NULL,
    -- Tells the same command from another one under the same id.
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    -- The stream's version before and after; the same for a command without events.
    before_version bigint NOT NULL,
    after_version bigint NOT NULL,
    -- Of its last event, or of the stream's last event when it has none.
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT commands_identity PRIMARY KEY (actor, command_id)
);

-- Which event types occur in which schema version: what a plugin must be able to read before it may be active.
CREATE TABLE census (
    category text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    schema_version bigint NOT NULL,
    PRIMARY KEY (category, type, schema_version)
);

-- Aggregate states, usable only by the plugin version that wrote them. May be emptied at any time.
CREATE TABLE snapshots (
    stream text COLLATE "C" NOT NULL,
    plugin bytea NOT NULL CHECK (octet_length(plugin) = 32),
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    position bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (stream, plugin)
);

-- How far followers outside the store have come, such as the relay to a broker. May be emptied: they then begin anew.
CREATE TABLE cursors (
    follower text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    event_id uuid NOT NULL
);

-- Every plugin version ever installed.
CREATE TABLE plugins (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    name text COLLATE "C" NOT NULL,
    version text NOT NULL,
    aggregate text COLLATE "C",
    installed_at timestamptz NOT NULL,
    bytes bytea NOT NULL
);

-- The active version of each name. Two names never decide for one aggregate: the database refuses it.
CREATE TABLE active_plugins (
    name text COLLATE "C" PRIMARY KEY,
    digest bytea NOT NULL REFERENCES plugins (digest),
    aggregate text COLLATE "C" CONSTRAINT active_plugins_aggregate UNIQUE,
    activated_at timestamptz NOT NULL
);

-- Whoever changes what appends depend on holds this lock until the commit. It is taken in a statement of its own, since a
-- snapshot that was taken before the lock was granted is stale.
CREATE FUNCTION lock_appends() RETURNS void LANGUAGE plpgsql AS $$
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

-- Makes an installed version the active one of its name; false when there is no such version.
CREATE FUNCTION activate_plugin(p_name text, p_digest bytea) RETURNS boolean LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp AS $$
BEGIN
    PERFORM lock_appends();
    INSERT INTO active_plugins (name, digest, aggregate, activated_at)
    SELECT p.name, p.digest, p.aggregate, now() FROM plugins p WHERE p.name = p_name AND p.digest = p_digest
    ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, aggregate = excluded.aggregate,
        activated_at = excluded.activated_at;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pg_notify('{schema}', 'plugins');
    RETURN true;
END
$$;

-- Appends a batch and gives one row per entry, in their order. Lists are numbered from 1 and refer to each other by
-- number: an entry names its stream, an event its entry and its type. The plans are pinned, since they are made while the
-- tables are still empty and kept for as long as the session lives.
CREATE FUNCTION append(
    -- The last event that the caller knows; the batch is refused when it is not there, since history was rewritten then.
    p_seen_position bigint, p_seen_event uuid,
    -- Distinct categories, and distinct streams with theirs.
    p_category text[], p_stream text[], p_stream_category int[],
    -- Entries. `p_repeats` names an earlier entry of the same command, 0 where there is none.
    p_entry_stream int[], p_expected_version bigint[], p_expected_event uuid[], p_plugin bytea[], p_actor text[],
    p_command text[], p_name text[], p_payload text[], p_hash bytea[], p_correlation text[], p_metadata text[],
    p_time timestamptz[], p_refused boolean[], p_count int[], p_repeats int[],
    -- Events, in the order of their entries; `p_index` counts within the entry, from 1.
    p_event_entry int[], p_index int[], p_event_id uuid[], p_event_type int[], p_data text[],
    -- Distinct event types.
    p_type_category text[], p_type text[], p_schema_version bigint[]
) RETURNS TABLE (
    o_outcome int, o_version bigint, o_event uuid, o_time timestamptz, o_position bigint,
    o_stream text, o_hash bytea, o_before bigint, o_after bigint, o_active bytea
) LANGUAGE plpgsql
SET search_path = "{schema}", pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    -- What `o_outcome` may be.
    c_appended CONSTANT int := 0;
    c_checked CONSTANT int := 1;
    c_duplicate CONSTANT int := 2;
    c_conflict CONSTANT int := 3;
    c_stale CONSTANT int := 4;
    c_nothing CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    c_entries CONSTANT int := cardinality(p_entry_stream);
    -- The store's head before the batch, and as of the entries before.
    v_base bigint := 0;
    v_base_event uuid := c_nothing;
    v_head bigint;
    v_newest uuid;
    -- The head of each stream, as of the entries before.
    v_version bigint[];
    v_event uuid[];
    v_time timestamptz[];
    v_position bigint[];
    -- The active plugin of each category, or null.
    v_active bytea[];
    -- Whether each entry's command was recorded before this batch.
    v_recorded boolean[];
    -- Of each entry that records its command: the store's head before and after its events, and the stream's version before.
    v_from bigint[] := array_fill(NULL::bigint, ARRAY[c_entries]);
    v_to bigint[] := array_fill(NULL::bigint, ARRAY[c_entries]);
    v_before bigint[] := array_fill(NULL::bigint, ARRAY[c_entries]);
    -- The entry of this batch that recorded each entry's command, 0 when none did.
    v_by int[] := array_fill(0, ARRAY[c_entries]);
    v_accepted int := 0;
    v_events int := 0;
    -- The entry's stream, and the entry of this batch that has recorded its command.
    v_on int;
    v_first int;
BEGIN
    PERFORM lock_appends();
    SELECT e.position, e.event_id INTO v_base, v_base_event FROM events e ORDER BY e.position DESC LIMIT 1;
    v_base := coalesce(v_base, 0);
    v_base_event := coalesce(v_base_event, c_nothing);
    IF p_seen_position > 0
        AND NOT EXISTS (SELECT FROM events e WHERE e.position = p_seen_position AND e.event_id = p_seen_event) THEN
        RAISE EXCEPTION 'the history was rewritten' USING ERRCODE = 'FH001';
    END IF;
    SELECT array_agg(h.version), array_agg(h.event_id), array_agg(h.recorded_at), array_agg(h.position)
    INTO v_version, v_event, v_time, v_position
    FROM (
        SELECT coalesce(e.version, 0) AS version, coalesce(e.event_id, c_nothing) AS event_id,
            coalesce(e.recorded_at, 'epoch') AS recorded_at, coalesce(e.position, 0) AS position
        FROM unnest(p_stream) WITH ORDINALITY AS s (stream, number)
        LEFT JOIN LATERAL (
            SELECT * FROM events WHERE events.stream = s.stream ORDER BY events.version DESC LIMIT 1
        ) e ON true
        ORDER BY s.number
    ) h;
    SELECT array_agg(a.digest ORDER BY c.number) INTO v_active
    FROM unnest(p_category) WITH ORDINALITY AS c (category, number)
    LEFT JOIN active_plugins a ON a.aggregate = c.category;
    SELECT array_agg(k.recorded) INTO v_recorded
    FROM (
        SELECT c.actor IS NOT NULL AS recorded
        FROM unnest(p_actor, p_command) WITH ORDINALITY AS k (actor, command_id, number)
        LEFT JOIN commands c ON c.actor = k.actor AND c.command_id = k.command_id
        ORDER BY k.number
    ) k;

    v_head := v_base;
    FOR i IN 1 .. c_entries LOOP
        v_on := p_entry_stream[i];
        v_events := v_events + p_count[i];
        v_first := p_repeats[i];
        IF v_first > 0 THEN
            v_first := v_by[v_first];
        END IF;
        IF v_recorded[i] THEN
            o_outcome := c_duplicate;
            SELECT c.stream, c.hash, c.before_version, c.after_version, c.position
            INTO o_stream, o_hash, o_before, o_after, o_position
            FROM commands c WHERE c.actor = p_actor[i] AND c.command_id = p_command[i];
            RETURN NEXT;
            CONTINUE;
        ELSIF v_first > 0 THEN
            v_by[i] := v_first;
            o_outcome := c_duplicate;
            o_stream := p_stream[p_entry_stream[v_first]];
            o_hash := p_hash[v_first];
            o_before := v_before[v_first];
            o_after := v_before[v_first] + p_count[v_first];
            o_position := v_to[v_first];
            RETURN NEXT;
            CONTINUE;
        ELSIF v_active[p_stream_category[v_on]] <> p_plugin[i] THEN
            o_outcome := c_stale;
            o_active := v_active[p_stream_category[v_on]];
        ELSIF v_version[v_on] <> p_expected_version[i] OR v_event[v_on] <> p_expected_event[i] THEN
            o_outcome := c_conflict;
        ELSIF p_refused[i] THEN
            o_outcome := c_checked;
        ELSE
            o_outcome := c_appended;
            v_accepted := v_accepted + 1;
            v_by[i] := i;
            v_from[i] := v_head;
            v_before[i] := v_version[v_on];
            IF p_count[i] > 0 THEN
                v_head := v_head + p_count[i];
                v_newest := p_event_id[v_events];
                v_version[v_on] := v_version[v_on] + p_count[i];
                v_event[v_on] := v_newest;
                v_time[v_on] := p_time[i];
                v_position[v_on] := v_head;
            END IF;
            v_to[i] := v_position[v_on];
        END IF;
        o_version := v_version[v_on];
        o_event := v_event[v_on];
        o_time := v_time[v_on];
        o_position := v_position[v_on];
        RETURN NEXT;
    END LOOP;
    IF v_accepted = 0 THEN
        RETURN;
    END IF;

    INSERT INTO commands (actor, command_id, stream, name, payload, hash, before_version, after_version, position, recorded_at)
    SELECT p_actor[i], p_command[i], p_stream[p_entry_stream[i]], p_name[i], p_payload[i]::json, p_hash[i], v_before[i],
        v_before[i] + p_count[i], v_to[i], p_time[i]
    FROM generate_series(1, c_entries) AS i WHERE v_from[i] IS NOT NULL;
    IF v_head = v_base THEN
        RETURN;
    END IF;
    INSERT INTO events (position, event_id, stream, version, type, schema_version, recorded_at, correlation_id,
        causation_id, actor, plugin, metadata, data)
    SELECT v_from[e.i] + e.index, e.id, p_stream[p_entry_stream[e.i]], v_before[e.i] + e.index, p_type[e.type],
        p_schema_version[e.type], p_time[e.i], p_correlation[e.i], p_command[e.i], p_actor[e.i], p_plugin[e.i],
        p_metadata[e.i]::json, e.data::json
    FROM unnest(p_event_entry, p_index, p_event_id, p_event_type, p_data) AS e (i, index, id, type, data)
    WHERE v_from[e.i] IS NOT NULL;
    INSERT INTO census (category, type, schema_version)
    SELECT DISTINCT p_type_category[e.type], p_type[e.type], p_schema_version[e.type]
    FROM unnest(p_event_entry, p_event_type) AS e (i, type) WHERE v_from[e.i] IS NOT NULL
    ON CONFLICT DO NOTHING;
    -- The head after the batch and the one before it: whoever listens can tell that they belong to one history.
    PERFORM pg_notify('{schema}', v_head || ' ' || v_newest || ' ' || v_base || ' ' || v_base_event);
END
$$;
