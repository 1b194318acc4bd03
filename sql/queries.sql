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
-- A row left at `running` is a process that died: one more attempt; unless it says why it waits, then it is
-- the same one. Anything else begins a new budget.
insert into stage_runs as run (video_id, stage, fingerprint, status, worker)
values (:video_id, :stage, :fingerprint, 'running', :worker)
on conflict (video_id, stage, fingerprint) do update set
    status = 'running',
    attempts = case
        when run.status <> 'running' then 1
        when run.reason is null then run.attempts + 1
        else run.attempts
    end,
    started_at = now(),
    worker = excluded.worker,
    result_key = null, reason = null, error_class = null, is_retryable = false, compute_s = 0, finished_at = null
returning attempts

-- name: postpone_run
-- Only what runs can wait: a verdict that came meanwhile (a near-duplicate) stays.
update stage_runs set reason = :reason
where video_id = :video_id and stage = :stage and fingerprint = :fingerprint and status = 'running'

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

-- name: lock_publishing
select pg_advisory_xact_lock(hashtextextended('publish', 0))

-- name: insert_dataset
insert into datasets (version, manifest_key, counts, filter_id)
values (:version, :manifest_key, cast(:counts as jsonb), :filter_id)
on conflict (version) do nothing

-- name: insert_filter
insert into filters (filter_id, document)
values (:filter_id, cast(:document as jsonb))
on conflict (filter_id) do nothing

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

-- ---------------------------------------------------------------- pages and reviews: store/pages.py, reviews.py

-- name: lock_pair_status
-- Whoever writes a video's rows of pair_status and check_counts does so alone and sees what the last one wrote.
select pg_advisory_xact_lock(hashtextextended('pair_status ' || :video_id, 0))

-- name: forget_pair_status
delete from pair_status where video_id = :video_id

-- name: note_pair_status
-- Without a video: of all of them.
insert into pair_status (
    instruction_id, video_id, pair_key, group_name, task_type, status, verdict, failed_checks, error_estimate,
    error_threshold, decision, review_queue, review_rank, review_distance
)
select
    instruction_id, video_id, pair_key, group_name, task_type, status, verdict, failed_checks, error_estimate,
    error_threshold, decision, review_queue,
    case
        when pair_key = '' then null  -- a decision on it could not be found again
        when flagged_checks = array['error_estimate'] then 0
        when verdict = 'accepted' then 1
    end,
    coalesce(abs(error_estimate - error_threshold), 2)
from instruction_status
where cast(:video_id as text) is null or video_id = :video_id

-- name: forget_check_counts
delete from check_counts where video_id = :video_id

-- name: note_check_counts
insert into check_counts (
    video_id, fingerprint, check_name, object_kind, objects, warned, failed, numbers, findings, lowest, highest,
    low_threshold, high_threshold
)
select
    video_id, fingerprint, check_name, object_kind,
    count(*), count(*) filter (where severity = 'warn'), count(*) filter (where severity = 'fail'),
    coalesce(array_agg(value) filter (where value > '-infinity' and value < 'infinity'), '{}'),
    coalesce(
        array_agg(value) filter (where value > '-infinity' and value < 'infinity' and severity <> 'info'), '{}'
    ),
    min(value) filter (where value > '-infinity' and value < 'infinity'),
    max(value) filter (where value > '-infinity' and value < 'infinity'),
    min(threshold), max(threshold)
from current_flags
where cast(:video_id as text) is null or video_id = :video_id
group by video_id, fingerprint, check_name, object_kind

-- name: add_review
insert into reviews (
    review_id, video_id, pair_key, instruction_id, decision, turns, note, reviewer, queue
)
values (
    :review_id, :video_id, :pair_key, :instruction_id, :decision, cast(:turns as jsonb), :note, :reviewer, :queue
)
on conflict (review_id) do nothing

-- name: newest_reviews
select distinct on (video_id, pair_key)
    review_id, video_id, pair_key, instruction_id, decision, turns, note, reviewer, queue, decided_at
from reviews
where video_id = any(cast(:video_ids as text[]))
order by video_id, pair_key, number desc

-- name: newest_drop_figures
select f.*, g.is_open
from drop_figures f
left join lateral (
    select is_open from gates where gates.drop_id = f.drop_id order by decided_at desc limit 1
) g on true
order by f.created_at desc, f.drop_id desc
limit :count

-- name: drop_figures
select f.*, g.is_open
from drop_figures f
left join lateral (
    select is_open from gates where gates.drop_id = f.drop_id order by decided_at desc limit 1
) g on true
where f.drop_id = :drop_id

-- name: catalog_totals
select
    (select count(*) from drops) as drops,
    (select count(*) from videos) as videos,
    count(*) as pairs,
    count(*) filter (where status = 'accepted') as accepted,
    count(*) filter (where status = 'quarantined') as quarantined,
    count(*) filter (where decision is null and review_rank = 0) as to_review,
    count(*) filter (where decision is not null) as reviewed
from pair_status

-- name: neighbour_drops
-- The drop before and the one after in time; an unknown drop has neither.
select
    (
        select drop_id from drops
        where (created_at, drop_id) < (d.created_at, d.drop_id)
        order by created_at desc, drop_id desc limit 1
    ) as previous,
    (
        select drop_id from drops
        where (created_at, drop_id) > (d.created_at, d.drop_id)
        order by created_at, drop_id limit 1
    ) as next
from drops d
where d.drop_id = :drop_id

-- name: newest_drop
select drop_id from drops order by created_at desc, drop_id desc limit 1

-- name: drop_reasons
select stage, status, error_class, reason, count(*) as videos, min(video_id) as example
from dropped_videos
where drop_id = :drop_id
group by stage, status, error_class, reason
order by videos desc, stage, reason
limit :count

-- name: drop_failed_checks
select c.check_name, count(*) as pairs
from drop_videos v
join pair_status p using (video_id)
cross join lateral unnest(p.failed_checks) as c (check_name)
where v.drop_id = :drop_id and p.status = 'quarantined'
group by c.check_name
order by pairs desc, c.check_name

-- name: drop_mixture
select p.group_name, p.task_type, count(*) as pairs
from drop_videos v
join pair_status p using (video_id)
where v.drop_id = :drop_id and p.status = 'accepted'
group by p.group_name, p.task_type
order by p.group_name, p.task_type

-- name: newest_validations
-- The newest of each suite, of one drop or dataset.
select distinct on (suite)
    validation_id, suite, subject_kind, subject_id, dag_run_id, is_success, results, docs_key, validated_at
from validations
where subject_kind = :subject_kind and subject_id = :subject_id
order by suite, validated_at desc

-- name: drops_of_dag_run
select distinct drop_id
from (
    select drop_id from gates where dag_run_id = :dag_run_id
    union all
    select subject_id from validations where dag_run_id = :dag_run_id and subject_kind = 'drop'
) of_run
order by drop_id

-- name: check_totals
select
    check_name, min(object_kind) as object_kind,
    sum(objects)::bigint as objects, sum(warned)::bigint as warned, sum(failed)::bigint as failed
from check_counts
group by check_name
order by failed desc, warned desc, check_name

-- name: check_range
select
    min(lowest) as low, max(highest) as highest, min(low_threshold) as low_threshold,
    max(high_threshold) as high_threshold,
    -- 0.5 % of the objects may lie above what is drawn at its own place.
    (
        select percentile_disc(0.995) within group (order by number)
        from check_counts c, unnest(c.numbers) as number
        where c.check_name = :check_name
    ) as top
from check_counts
where check_name = :check_name

-- name: check_histogram
select
    least(greatest(width_bucket(number, :low, :high, :bins), 1), cast(:bins as integer)) as bin,
    count(*) filter (where not is_finding) as objects,
    count(*) filter (where is_finding) as findings
from (
    select number, false as is_finding
    from check_counts c, unnest(c.numbers) as number
    where c.check_name = :check_name
    union all
    select number, true
    from check_counts c, unnest(c.findings) as number
    where c.check_name = :check_name
) as told
group by bin
order by bin

-- name: worst_low_flags
-- The worst findings are among those of the videos with the worst values.
select f.video_id, f.object_id, f.object_kind, f.value, f.threshold, f.severity
from (
    select video_id, fingerprint
    from check_counts
    where check_name = :check_name and warned + failed > 0
    order by lowest nulls first, video_id
    limit :count
) as worst
join flags f using (video_id, fingerprint)
where f.check_name = :check_name and f.severity <> 'info'
order by f.value, f.object_id
limit :count

-- name: worst_high_flags
select f.video_id, f.object_id, f.object_kind, f.value, f.threshold, f.severity
from (
    select video_id, fingerprint
    from check_counts
    where check_name = :check_name and warned + failed > 0
    order by highest desc nulls first, video_id
    limit :count
) as worst
join flags f using (video_id, fingerprint)
where f.check_name = :check_name and f.severity <> 'info'
order by f.value desc, f.object_id
limit :count

-- name: shown_filter
select filter_id, document, created_at from filters order by created_at desc, filter_id limit 1

-- name: listed_videos
-- One page of the videos of one drop or, where none is named, of all. Without a state the page is cut before
-- anything is looked up.
with page as (
    select d.drop_id, d.video_id, d.key
    from drop_videos d
    where (:drop_id = '' or d.drop_id = :drop_id)
        and (:text = '' or position(lower(:text) in lower(d.key)) > 0 or d.video_id = :text)
        and (d.key, d.drop_id, d.video_id) > (:after_key, :after_drop, :after_video)
    order by d.key, d.drop_id, d.video_id
    limit case when :state = '' then cast(:count as bigint) end
)
select
    d.drop_id, d.video_id, d.key, v.duration_s, v.width_px, v.height_px,
    lost.stage as lost_stage, lost.status as lost_status, lost.reason as lost_reason,
    p.pairs, p.accepted, p.quarantined
from page d
left join videos v using (video_id)
left join lateral (
    select stage, status, reason from current_stage_runs r
    where r.video_id = d.video_id and r.status in ('failed', 'filtered')
    order by status, stage
    limit 1
) lost on true
cross join lateral (
    select
        count(*) as pairs,
        count(*) filter (where s.status = 'accepted') as accepted,
        count(*) filter (where s.status = 'quarantined') as quarantined
    from pair_status s
    where s.video_id = d.video_id
) p
where :state = ''
    or (:state in ('failed', 'filtered') and lost.status = :state)
    or (:state = 'through' and lost.status is null and p.pairs > 0)
    or (:state = 'quarantined' and p.quarantined > 0)
order by d.key, d.drop_id, d.video_id
limit :count

-- name: video_facts
select
    video_id, size_bytes, container, codec, pixel_format, width_px, height_px, fps, frame_count, duration_s,
    is_variable_rate, has_audio, motion_px, black_share, frozen_share, sharpness
from videos
where video_id = :video_id

-- name: ended_runs
select
    video_id, stage, fingerprint, status, result_key, reason, error_class, attempts, compute_s, started_at,
    finished_at, worker
from current_stage_runs
where video_id = :video_id
order by started_at, stage

-- name: current_clips
select c.clip_id, c.index, c.start_s, c.end_s
from clips c
join current_stage_runs r using (video_id, stage, fingerprint)
where c.video_id = :video_id and r.status = 'done'
order by c.index

-- name: current_entities
-- With each its masklet, without the masks.
select
    e.entity_id, e.index, e.expression, e.noun, m.masklet_id, m.frames_pts_s, m.visible, m.areas_px,
    m.visible_frames, m.detector_score, m.assignment_margin, m.forward_backward_iou, m.start_frame_index
from entities e
join current_stage_runs r using (video_id, stage, fingerprint)
left join (
    select masklets.* from masklets
    join current_stage_runs using (video_id, stage, fingerprint)
    where masklets.video_id = :video_id and status = 'done'
) m using (video_id, entity_id)
where e.video_id = :video_id and r.status = 'done'
order by e.index

-- name: find_masks
select r.result_key, e.index
from masklets m
join current_stage_runs r using (video_id, stage, fingerprint)
join entities e using (video_id, entity_id)
where m.video_id = :video_id and m.entity_id = :entity_id and r.status = 'done'

-- name: current_segments
select s.segment_id, s.clip_id, s.entity_id, s.start_s, s.end_s, s.text, s.actions, s.agreement
from transcript_segments s
join current_stage_runs r using (video_id, stage, fingerprint)
where s.video_id = :video_id and r.status = 'done'
order by s.start_s, s.entity_id

-- name: current_pairs
select
    i.instruction_id, i.video_id, i.group_name, i.task_type, i.turns, i.region_entity_ids, i.start_s, i.end_s,
    i.is_negative, i.template_id, i.source_ids, i.pair_key, p.status, p.verdict, p.failed_checks,
    p.error_estimate, p.error_threshold, p.decision
from pair_status p
join instructions i using (instruction_id)
where p.video_id = :video_id
order by i.group_name, i.task_type, i.instruction_id

-- name: find_pair
select
    i.instruction_id, i.video_id, i.group_name, i.task_type, i.turns, i.region_entity_ids, i.start_s, i.end_s,
    i.is_negative, i.template_id, i.source_ids, i.pair_key, p.status, p.verdict, p.failed_checks,
    p.error_estimate, p.error_threshold, p.decision
from pair_status p
join instructions i using (instruction_id)
where p.instruction_id = :instruction_id

-- name: shown_flags
select object_id, object_kind, check_name, value, threshold, severity
from current_flags
where video_id = :video_id
order by object_kind, object_id, check_name

-- name: video_expectation_flags
select distinct f.object_id, f.object_kind, f.expectation, f.means, f.value, f.severity
from drop_videos d
join expectation_flags f using (drop_id)
where d.video_id = :video_id and (
    f.object_id = :video_id
    or exists (select from masklets m where m.video_id = :video_id and m.masklet_id = f.object_id)
    or exists (select from transcript_segments t where t.video_id = :video_id and t.segment_id = f.object_id)
    or exists (select from instructions i where i.video_id = :video_id and i.instruction_id = f.object_id)
)
order by f.object_kind, f.object_id, f.expectation

-- name: video_reviews
select review_id, pair_key, instruction_id, decision, turns, note, reviewer, queue, decided_at
from reviews
where video_id = :video_id
order by number desc

-- name: video_models
select
    stage, model, prompt, count(*) as calls, count(*) filter (where outcome = 'used') as used,
    coalesce(sum(prompt_tokens), 0)::bigint + coalesce(sum(completion_tokens), 0)::bigint as tokens
from model_calls
where video_id = :video_id
group by stage, model, prompt
order by stage, model, prompt

-- name: borderline_queue
select p.instruction_id, p.review_rank, p.review_distance
from pair_status p
where p.decision is null and p.review_rank is not null
    and (:group_name = '' or p.group_name = :group_name)
    and (:task_type = '' or p.task_type = :task_type)
    and (p.review_rank, p.review_distance, p.instruction_id) > (:after_rank, :after_distance, :after_id)
order by p.review_rank, p.review_distance, p.instruction_id
limit :count

-- name: sample_queue
select p.instruction_id, p.sample_key
from pair_status p
where p.decision is null and p.verdict = 'accepted' and p.pair_key <> ''
    and (:group_name = '' or p.group_name = :group_name)
    and (:task_type = '' or p.task_type = :task_type)
    and p.sample_key > :after_key
order by p.sample_key
limit :count

-- name: find_pairs
select
    i.instruction_id, i.video_id, i.group_name, i.task_type, i.turns, i.region_entity_ids, i.start_s, i.end_s,
    i.is_negative, i.template_id, i.source_ids, i.pair_key, p.status, p.verdict, p.failed_checks,
    p.error_estimate, p.error_threshold, p.decision
from pair_status p
join instructions i using (instruction_id)
where p.instruction_id = any(cast(:instruction_ids as text[]))

-- name: shown_datasets
select d.version, d.manifest_key, d.counts, d.created_at, d.filter_id,
    (select count(*) from dataset_videos v where v.version = d.version) as videos
from datasets d
order by d.created_at desc, d.version desc
limit :count

-- name: shown_dataset
select d.version, d.manifest_key, d.counts, d.created_at, d.filter_id,
    (select count(*) from dataset_videos v where v.version = d.version) as videos
from datasets d
where d.version = :version

-- name: dataset_drops
select v.drop_id, count(*) as videos
from dataset_videos d
join drop_videos v using (video_id)
where d.version = :version
group by v.drop_id
order by v.drop_id

-- name: dataset_video_page
select d.video_id, d.fingerprint, o.key
from dataset_videos d
left join lateral (
    select min(key) as key from drop_objects where drop_objects.video_id = d.video_id
) o on true
where d.version = :version and d.video_id > :after_video
order by d.video_id
limit :count

-- ---------------------------------------------------------------- end of pages and reviews

-- ---------------------------------------------------------------- validation and gates: store/validations.py, gates.py

-- name: validations_of_run
select validation_id
from validations
where dag_run_id = :dag_run_id and subject_kind = :subject_kind
order by validated_at, validation_id

-- name: add_validation
insert into validations (
    validation_id, suite, subject_kind, subject_id, dag_run_id, is_success, results, docs_key
)
values (
    :validation_id, :suite, :subject_kind, :subject_id, :dag_run_id, :is_success, cast(:results as jsonb),
    :docs_key
)
on conflict (validation_id) do update set
    is_success = excluded.is_success,
    results = excluded.results,
    docs_key = excluded.docs_key,
    validated_at = now()

-- name: validations
select
    validation_id, suite, subject_kind, subject_id, dag_run_id, is_success, results, docs_key, validated_at
from validations
where subject_kind = :subject_kind and subject_id = :subject_id
order by validated_at, validation_id

-- name: validated_videos
select * from validated_videos where subject_kind = :subject_kind and subject_id = :subject_id

-- name: validated_masklets
select * from validated_masklets where subject_kind = :subject_kind and subject_id = :subject_id

-- name: validated_segments
select * from validated_segments where subject_kind = :subject_kind and subject_id = :subject_id

-- name: validated_instructions
select * from validated_instructions where subject_kind = :subject_kind and subject_id = :subject_id

-- name: validated_mixtures
select * from validated_mixtures where subject_kind = :subject_kind and subject_id = :subject_id

-- name: gate_figures
select videos, failed_videos, failed_share, pairs, accepted, accepted_share, estimated_error, drift
from gate_figures
where drop_id = :drop_id

-- name: stopped_by_check
-- How many pairs of a drop each check stops, and which pair it stops first in each of some videos.
select check_name, count(*) as pairs, (array_agg(instruction_id order by instruction_id))[1:20] as examples
from drop_videos v
join pair_status p using (video_id)
cross join lateral unnest(p.failed_checks) as c (check_name)
where v.drop_id = :drop_id and p.status = 'quarantined'
group by check_name
order by pairs desc, check_name

-- name: failed_videos
select video_id as id, stage || ': ' || reason as why
from failures
where drop_id = :drop_id
order by video_id
limit :count

-- name: stopped_pairs
select p.instruction_id as id, array_to_string(p.failed_checks, ', ') as why
from drop_videos v
join pair_status p using (video_id)
where v.drop_id = :drop_id and p.status = 'quarantined'
order by p.instruction_id
limit :count

-- name: doubtful_pairs
select p.instruction_id as id, 'estimated error ' || round(p.error_estimate::numeric, 3) as why
from drop_videos v
join pair_status p using (video_id)
where v.drop_id = :drop_id and p.status = 'accepted' and p.error_estimate is not null
order by p.error_estimate desc, p.instruction_id
limit :count

-- name: drifted_names
select
    name as id,
    round(previous_share::numeric, 3) || ' of ' || previous_drop_id || ', ' || round(share::numeric, 3) || ' now'
        as why
from drop_drift
where drop_id = :drop_id and is_drift
order by psi desc, name
limit :count

-- name: add_gate
insert into gates (gate_id, drop_id, dag_run_id, is_open, bars, overridden_by)
values (:gate_id, :drop_id, :dag_run_id, :is_open, cast(:bars as jsonb), :overridden_by)
on conflict (gate_id) do update set
    is_open = excluded.is_open,
    bars = excluded.bars,
    overridden_by = excluded.overridden_by,
    decided_at = now()

-- name: gates
select gate_id, drop_id, dag_run_id, is_open, bars, overridden_by, decided_at
from gates
where drop_id = :drop_id
order by decided_at, gate_id

-- name: newest_gates
select distinct on (drop_id) gate_id, drop_id, dag_run_id, is_open, bars, overridden_by, decided_at
from gates
where drop_id = any(cast(:drop_ids as text[]))
order by drop_id, decided_at desc, gate_id desc

-- name: gates_of_run
select distinct on (drop_id) gate_id, drop_id, dag_run_id, is_open, bars, overridden_by, decided_at
from gates
where dag_run_id = :dag_run_id
order by drop_id, decided_at desc, gate_id desc

-- name: undecided_drops
-- Of the drops that need a decision those that have none, though all their videos ended: a run that was killed
-- left them so.
select d.drop_id
from drops d
where not exists (select from gates where gates.drop_id = d.drop_id)
    and d.created_at >= (select coalesce(min(decided_at), 'infinity') from gates)
    and exists (select from drop_videos v where v.drop_id = d.drop_id)
    and not exists (
        select from validated_videos v
        where v.subject_kind = 'drop' and v.subject_id = d.drop_id and v.state = 'unfinished'
    )
order by d.created_at, d.drop_id

-- name: unfinished_drops
select distinct subject_id as drop_id
from validated_videos
where subject_kind = 'drop' and subject_id = any(cast(:drop_ids as text[])) and state = 'unfinished'

-- name: held_video_ids
-- In drops, and in none that is open. Open is a drop whose newest decision says so, or that is older than the
-- first decision of all: it came before there were gates. A newer one without a decision waits for it.
select v.video_id
from drop_videos v
join drops d using (drop_id)
left join lateral (
    select is_open from gates where gates.drop_id = v.drop_id order by decided_at desc, gate_id desc limit 1
) g on true
group by v.video_id
having not bool_or(coalesce(
    g.is_open, d.created_at < (select coalesce(min(decided_at), 'infinity') from gates)
))
order by v.video_id

-- ---------------------------------------------------------------- learning: store/jobs.py, models.py

-- name: open_job
-- A job that failed or was cancelled is asked for anew; one that is on its way or done stays as it is.
insert into jobs (job_id, kind, spec)
values (:job_id, :kind, cast(:spec as jsonb))
on conflict (job_id) do update
set status = 'open', attempts = 0, error_class = null, reason = null, finished_at = null
where jobs.status in ('failed', 'cancelled')

-- name: find_job
select job_id, kind, spec, status, attempts, result, error_class, reason
from jobs
where job_id = :job_id

-- name: start_job
update jobs
set status = 'running', attempts = attempts + 1, worker = :worker, started_at = now()
where job_id = :job_id and status in ('open', 'running')
returning attempts

-- name: finish_job
update jobs
set status = :status, result = cast(:result as jsonb), error_class = :error_class, reason = :reason,
    finished_at = now()
where job_id = :job_id and status in ('open', 'running')

-- name: reopen_job
-- An outage is no attempt.
update jobs set status = 'open', attempts = attempts - 1 where job_id = :job_id and status = 'running'

-- name: cancel_job
update jobs set status = 'cancelled', finished_at = now() where job_id = :job_id and status in ('open', 'running')

-- name: note_training_figures
insert into training_figures (job_id, step, name, value)
select :job_id, :step, doc->>'name', cast(doc->>'value' as double precision)
from jsonb_array_elements(cast(:figures as jsonb)) doc
on conflict (job_id, step, name) do update set value = excluded.value

-- name: training_figures
select step, name, value from training_figures where job_id = :job_id order by name, step

-- name: add_model
insert into models (version, manifest_key, dataset_version, base, preset, options, job_id)
values (:version, :manifest_key, :dataset_version, :base, :preset, cast(:options as jsonb), :job_id)
on conflict (version) do nothing

-- name: models
select version, manifest_key, dataset_version, base, preset, options, job_id, created_at
from models
order by number

-- name: find_model
select version, manifest_key, dataset_version, base, preset, options, job_id, created_at
from models
where version = :version

-- name: champion
select m.version, m.manifest_key, m.dataset_version, m.base, m.preset, m.options, m.job_id, m.created_at
from promotions p
join models m on m.version = p.model_version
where p.is_promoted
order by p.number desc
limit 1

-- name: add_evaluation
insert into evaluations (model_version, bench_id, figures, items_key)
values (:model_version, :bench_id, cast(:figures as jsonb), :items_key)
on conflict (model_version, bench_id) do update
set figures = excluded.figures, items_key = excluded.items_key, created_at = now()

-- name: find_evaluation
select model_version, bench_id, figures, items_key, created_at
from evaluations
where model_version = :model_version and bench_id = :bench_id

-- name: add_promotion
insert into promotions (promotion_id, model_version, champion_version, is_promoted, comparison, decided_by)
values (:promotion_id, :model_version, :champion_version, :is_promoted, cast(:comparison as jsonb), :decided_by)
on conflict (promotion_id) do nothing

-- name: promotions
select promotion_id, model_version, champion_version, is_promoted, comparison, decided_by, decided_at
from promotions
order by number

-- name: model_drops
-- What a model saw: drops and how many of their videos are in its dataset.
select o.drop_id, count(distinct v.video_id) as videos
from models m
join dataset_videos v on v.version = m.dataset_version
join drop_objects o using (video_id)
where m.version = :version
group by o.drop_id
order by o.drop_id

-- name: shown_models
-- Newest first; with the newest evaluation, and what was decided last.
select m.version, m.dataset_version, m.base, m.preset, m.options, m.job_id, m.created_at,
    e.bench_id, e.figures, p.is_promoted, p.decided_by, p.comparison,
    m.version = (select c.model_version from promotions c where c.is_promoted order by c.number desc limit 1)
        as is_champion
from models m
left join lateral (
    select bench_id, figures from evaluations
    where model_version = m.version
    order by created_at desc, bench_id
    limit 1
) e on true
left join lateral (
    select is_promoted, decided_by, comparison from promotions
    where model_version = m.version
    order by number desc
    limit 1
) p on true
where :version = '' or m.version = :version
order by m.number desc
limit :count
