-- Current instructions as `accepted`, `quarantined` or `unchecked` (no quality run since they were made). The
-- verdict follows from the flags: a failed check on the pair itself, on anything that it was made from, or on
-- the masklet of an entity among these. A person's newest review of the pair's content wins over it.
create or replace view instruction_status as
select
    i.instruction_id,
    i.video_id,
    i.fingerprint,
    i.group_name,
    i.task_type,
    q.fingerprint as quality_fingerprint,
    case
        when q.fingerprint is null then 'unchecked'
        when r.decision = 'reject' then 'quarantined'
        when r.decision is not null then 'accepted'
        when f.failed_checks is not null then 'quarantined'
        else 'accepted'
    end as status,
    case
        when q.fingerprint is null then null
        when r.decision = 'reject' then array_append(f.failed_checks, 'review')
        when r.decision is null then f.failed_checks
    end as failed_checks,
    case
        when q.fingerprint is null then 'unchecked'
        when f.failed_checks is not null then 'quarantined'
        else 'accepted'
    end as verdict,
    f.failed_checks as flagged_checks,  -- also where a review lets the pair through
    i.pair_key,
    e.value as error_estimate,
    e.threshold as error_threshold,
    r.decision,
    r.queue as review_queue
from current_stage_runs s
join instructions i on i.video_id = s.video_id and i.stage = s.stage and i.fingerprint = s.fingerprint
left join current_stage_runs q
    on q.video_id = s.video_id and q.stage = 'quality' and q.status = 'done' and q.started_at >= s.started_at
left join flags e
    on e.video_id = i.video_id and e.fingerprint = q.fingerprint and e.object_id = i.instruction_id
    and e.check_name = 'error_estimate'
left join lateral (
    select decision, queue
    from reviews
    where video_id = i.video_id and pair_key = i.pair_key
    order by number desc
    limit 1
) r on true
left join lateral (
    select array_agg(distinct flag.check_name order by flag.check_name) as failed_checks
    from flags flag
    left join masklets m on flag.object_kind = 'masklet' and m.masklet_id = flag.object_id
    where flag.video_id = i.video_id and flag.fingerprint = q.fingerprint and flag.severity = 'fail'
        and array[flag.object_id, m.entity_id] && (i.instruction_id || i.source_ids || i.region_entity_ids)
) f on true
where s.stage = 'instructions' and s.status = 'done';
