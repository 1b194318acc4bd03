-- Current instructions as `accepted`, `quarantined` (a failed check on itself, on anything that it was made
-- from, or on the masklet of an entity among these) or `unchecked` (no quality run since they were made).
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
        when f.failed_checks is not null then 'quarantined'
        else 'accepted'
    end as status,
    f.failed_checks
from current_stage_runs r
join instructions i on i.video_id = r.video_id and i.stage = r.stage and i.fingerprint = r.fingerprint
left join current_stage_runs q
    on q.video_id = r.video_id and q.stage = 'quality' and q.status = 'done' and q.started_at >= r.started_at
left join lateral (
    select array_agg(distinct flag.check_name order by flag.check_name) as failed_checks
    from flags flag
    left join masklets m on flag.object_kind = 'masklet' and m.masklet_id = flag.object_id
    where flag.video_id = i.video_id and flag.fingerprint = q.fingerprint and flag.severity = 'fail'
        and array[flag.object_id, m.entity_id] && (i.instruction_id || i.source_ids || i.region_entity_ids)
) f on true
where r.stage = 'instructions' and r.status = 'done';
