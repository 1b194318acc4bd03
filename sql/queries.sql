-- Queries by name, read by strefer_core.store.sql. Values are bound (`:name`), never written into the text.

-- name: find_run
select video_id, stage, fingerprint, status, result_key, reason, error_class, is_retryable, attempts, compute_s
from stage_runs
where video_id = :video_id and stage = :stage and fingerprint = :fingerprint

-- name: find_runs
select r.video_id, r.stage, r.fingerprint, r.status, r.result_key, r.reason, r.error_class, r.is_retryable,
    r.attempts, r.compute_s
from stage_runs r
join pg_temp.incoming on r.video_id = doc->>'video_id' and r.fingerprint = doc->>'fingerprint'
where r.stage = :stage

-- name: start_run
-- A row left at `running` is a process that died: one more attempt. Anything else begins a new budget.
insert into stage_runs as run (video_id, stage, fingerprint, status, worker)
values (:video_id, :stage, :fingerprint, 'running', :worker)
on conflict (video_id, stage, fingerprint) do update set
    status = 'running',
    attempts = case when run.status = 'running' then run.attempts + 1 else 1 end,
    started_at = now(),
    worker = excluded.worker,
    result_key = null, reason = null, error_class = null, is_retryable = false, compute_s = 0, finished_at = null
returning attempts

-- name: finish_run
-- Writing the same outcome again keeps the first `finished_at`: nothing changes.
insert into stage_runs as run (
    video_id, stage, fingerprint, status, result_key, reason, error_class, is_retryable, attempts, compute_s,
    finished_at
)
values (
    :video_id, :stage, :fingerprint, :status, :result_key, :reason, :error_class, :is_retryable, :attempts,
    :compute_s, now()
)
on conflict (video_id, stage, fingerprint) do update set
    status = excluded.status,
    result_key = excluded.result_key,
    reason = excluded.reason,
    error_class = excluded.error_class,
    is_retryable = excluded.is_retryable,
    attempts = excluded.attempts,
    compute_s = excluded.compute_s,
    finished_at = coalesce(run.finished_at, excluded.finished_at)

-- name: add_model_calls
-- A call has one id for ever: written again, it is already there.
insert into model_calls (
    call_id, video_id, stage, fingerprint, question, prompt, server, model, sample, outcome, reason, raw_text,
    elapsed_s, prompt_tokens, completion_tokens, cost
)
select
    c.call_id, c.video_id, c.stage, c.fingerprint, c.question, c.prompt, c.server, c.model, c.sample, c.outcome,
    c.reason, c.raw_text, c.elapsed_s, c.prompt_tokens, c.completion_tokens, c.cost
from pg_temp.incoming, jsonb_populate_record(null::model_calls, doc) c
on conflict (call_id) do nothing

-- name: model_calls
select
    call_id, question, prompt, server, model, sample, outcome, reason, raw_text, elapsed_s, prompt_tokens,
    completion_tokens, cost
from model_calls
where video_id = :video_id and stage = :stage and fingerprint = :fingerprint
order by number

-- name: filter_run
-- A verdict that came after the stage itself (a near-duplicate); its rows and document stay.
insert into stage_runs (video_id, stage, fingerprint, status, reason, finished_at)
values (:video_id, :stage, :fingerprint, 'filtered', :reason, now())
on conflict (video_id, stage, fingerprint) do update set
    status = 'filtered', reason = excluded.reason, error_class = null, is_retryable = false, finished_at = now()

-- name: open_requests
insert into requests (batch_id, video_id, stage, fingerprint, finished_at)
select :batch_id, doc->>'video_id', :stage, doc->>'fingerprint',
    case when (doc->>'is_missing')::boolean then null else now() end
from pg_temp.incoming
order by doc->>'video_id'
on conflict (batch_id, video_id, stage, fingerprint) do update set finished_at = excluded.finished_at

-- name: not_yet_requested
select doc->>'video_id' as video_id
from pg_temp.incoming
where (doc->>'is_missing')::boolean and not exists (
    select from requests q
    where q.video_id = doc->>'video_id' and q.stage = :stage and q.fingerprint = doc->>'fingerprint'
        and q.finished_at is null
)

-- name: is_requested
select exists (
    select from requests
    where video_id = :video_id and stage = :stage and fingerprint = :fingerprint and finished_at is null
) as is_requested

-- name: close_settled_requests
-- `for share` waits for a run that is being finished right now and then reads its outcome. It takes every
-- run of the batch, because one that is filtered out by its old state would not be waited for.
with runs as materialized (
    select r.video_id, r.stage, r.fingerprint, r.status, r.is_retryable
    from stage_runs r
    join requests q using (video_id, stage, fingerprint)
    where q.batch_id = :batch_id and q.finished_at is null
    order by r.video_id, r.stage, r.fingerprint
    for share of r
)
update requests q set finished_at = now()
from runs r
where q.batch_id = :batch_id and q.finished_at is null
    and (q.video_id, q.stage, q.fingerprint) = (r.video_id, r.stage, r.fingerprint)
    and (r.status in ('done', 'filtered') or (r.status = 'failed' and not r.is_retryable))

-- name: close_requests
update requests set finished_at = now()
where video_id = :video_id and stage = :stage and fingerprint = :fingerprint and finished_at is null

-- name: finished_batches
select batch_id
from unnest(cast(:batch_ids as text[])) as asked (batch_id)
where not exists (
    select from requests where requests.batch_id = asked.batch_id and finished_at is null
)

-- name: unfinished_requests
select video_id, stage, fingerprint
from requests
where batch_id = :batch_id and finished_at is null
order by video_id, fingerprint

-- name: cancel_batch
delete from requests where batch_id = :batch_id and finished_at is null

-- name: batch_outcome
-- A closed request whose run is absent or begun again has no outcome of its own: it counts as failed.
select
    q.video_id,
    case
        when q.finished_at is null then 'open'
        when r.status in ('done', 'filtered') then r.status
        else 'failed'
    end as status,
    coalesce(r.error_class, 'NoOutcome') as error_class,
    coalesce(r.reason, 'its request was closed without an outcome; run it again') as reason
from requests q
left join stage_runs r using (video_id, stage, fingerprint)
where q.batch_id = :batch_id
order by q.video_id

-- name: held_advisory_locks
select (classid::bigint << 32) | objid::bigint as lock_key
from pg_locks
where locktype = 'advisory' and objsubid = 1 and granted
    and database = (select oid from pg_database where datname = current_database())

-- name: register_drop
insert into drops (drop_id, prefix) values (:drop_id, :prefix) on conflict (drop_id) do nothing

-- name: add_drop_objects
insert into drop_objects (drop_id, key, etag, size_bytes, video_id)
select :drop_id, doc->>'key', doc->>'etag', (doc->>'size_bytes')::bigint, doc->>'video_id'
from pg_temp.incoming
on conflict (drop_id, key) do update set
    etag = excluded.etag, size_bytes = excluded.size_bytes, video_id = excluded.video_id

-- name: known_objects
-- What a killed ingest registered but never looked at is not known in the strict sense: it is found again.
select distinct on (o.key) o.key, o.etag
from drop_objects o
join drops d using (drop_id)
where starts_with(o.key, :prefix)
    and (not :looked_at or exists (
        select from stage_runs r
        where r.video_id = o.video_id and r.stage = 'videos' and r.status <> 'running'
    ))
order by o.key, d.created_at desc, d.drop_id desc

-- name: drop_videos
select video_id from drop_videos where drop_id = :drop_id order by key

-- name: drops_of_video
select d.drop_id, o.key
from drop_objects o
join drops d using (drop_id)
where o.video_id = :video_id
order by d.created_at, d.drop_id, o.key

-- name: drops
select drop_id, prefix, created_at from drops order by created_at, drop_id

-- name: left_behind
select distinct video_id
from stage_runs r
where stage = :after and status = 'done' and not exists (
    select from stage_runs next where next.video_id = r.video_id and next.stage = :before
)
order by video_id

-- name: video_names
select distinct on (o.video_id) o.video_id, o.key
from drop_objects o
join drops d using (drop_id)
where o.video_id = any(cast(:video_ids as text[]))
order by o.video_id, d.created_at, d.drop_id, o.key

-- name: video_ids
select video_id from videos order by video_id

-- name: video_hashes
select v.video_id, v.fingerprint, v.duration_s, v.perceptual_hashes
from videos v
join stage_runs r using (video_id, stage, fingerprint)
left join lateral (
    select d.created_at, d.drop_id, o.key
    from drop_objects o
    join drops d using (drop_id)
    where o.video_id = v.video_id
    order by d.created_at, d.drop_id, o.key
    limit 1
) first on true
where r.status = 'done'
order by first.created_at, first.drop_id, first.key, v.video_id

-- name: drop_progress
select stage, videos, done, filtered, failed, running, compute_s
from drop_progress
where drop_id = :drop_id
order by first_started_at, stage

-- name: computed_since_drop
select r.stage, count(*) as runs
from drops d
join drop_videos v using (drop_id)
join stage_runs r on r.video_id = v.video_id and r.started_at >= d.created_at
where d.drop_id = :drop_id
group by r.stage

-- name: dropped_videos
select video_id, key, stage, status, error_class, reason, is_retryable, attempts
from dropped_videos
where drop_id = :drop_id and status = any(cast(:statuses as text[]))
order by key, stage

-- name: current_runs
select video_id, stage, fingerprint, status, result_key, reason, error_class, is_retryable, attempts, compute_s
from newest_stage_runs
where video_id = :video_id
order by started_at, stage

-- name: instruction_counts
select status, count(*) as instructions
from instruction_status
where video_id = :video_id
group by status
order by status

-- name: failed_checks
select f.check_name, f.severity, count(*) as objects
from flags f
join current_stage_runs r using (video_id, stage, fingerprint)
where f.video_id = :video_id and f.severity <> 'info'
group by f.check_name, f.severity
order by f.check_name, f.severity

-- name: insert_dataset
insert into datasets (version, manifest_key, counts)
values (:version, :manifest_key, cast(:counts as jsonb))
on conflict (version) do nothing

-- name: insert_dataset_videos
insert into dataset_videos (version, video_id, fingerprint)
select :version, doc->>'video_id', doc->>'fingerprint' from pg_temp.incoming
on conflict (version, video_id) do nothing

-- name: find_dataset
select version, manifest_key, counts, created_at from datasets where version = :version

-- name: datasets
select version, manifest_key, counts, created_at from datasets order by created_at, version

-- name: latest_dataset
select version, manifest_key, counts, created_at from datasets order by created_at desc, version desc limit 1

-- name: dataset_lineage
select video_id, fingerprint from dataset_videos where version = :version order by video_id

-- name: upsert_probe
insert into probes (
    probe_id, started_at, version, seed, perception, knobs, noise, config, videos, entities, failed
)
values (
    :probe_id, :started_at, :version, :seed, :perception, :knobs, cast(:noise as jsonb),
    cast(:config as jsonb), :videos, :entities, cast(:failed as jsonb)
)
on conflict (probe_id) do update set
    started_at = excluded.started_at,
    version = excluded.version,
    seed = excluded.seed,
    perception = excluded.perception,
    knobs = excluded.knobs,
    noise = excluded.noise,
    config = excluded.config,
    videos = excluded.videos,
    entities = excluded.entities,
    failed = excluded.failed

-- name: delete_probe_figures
delete from probe_figures where probe_id = :probe_id

-- name: insert_probe_figures
insert into probe_figures (probe_id, cascade_name, knob, metric, value, low, high)
select
    :probe_id, doc->>'cascade', doc->>'knob', doc->>'metric', (doc->>'value')::double precision,
    (doc->>'low')::double precision, (doc->>'high')::double precision
from pg_temp.incoming

-- name: probes
select probe_id, started_at, version, seed, perception, knobs, noise, config, videos, entities, failed
from probes
order by started_at, probe_id

-- name: probe_figures
select cascade_name as cascade, knob, metric, value, low, high
from probe_figures
where probe_id = :probe_id
order by cascade_name, knob, metric

-- name: probe_history
select probe_id, started_at, value, low, high, previous_value
from probe_history
where cascade_name = :cascade and knob = :knob and metric = :metric
order by started_at, probe_id
