-- The videos of a drop or dataset, one row each, with what an expectation can look at. Clips are those of the
-- video's current run; the figures of a video that did not get that far are null.
create or replace view validated_videos as
select
    s.subject_kind,
    s.subject_id,
    s.video_id,
    case
        when 'failed' = any(r.statuses) then 'failed'
        when 'filtered' = any(r.statuses) then 'filtered'
        when r.is_through then 'through'
        else 'unfinished'
    end as state,
    v.duration_s,
    v.fps,
    v.frame_count,
    v.duration_s - c.covered_s as uncovered_s,
    p.pairs,
    p.unchecked_pairs
from validation_subjects s
left join videos v using (video_id)
left join lateral (
    select array_agg(status) as statuses, bool_or(stage = 'quality' and status = 'done') as is_through
    from (
        select distinct on (stage) stage, status
        from stage_runs
        where video_id = s.video_id and status <> 'running'
        order by stage, started_at desc
    ) newest
) r on true
left join lateral (
    select sum(end_s - start_s) as covered_s
    from current_stage_runs run
    join clips using (video_id, fingerprint)
    where run.video_id = s.video_id and run.stage = 'clips'
) c on true
left join lateral (
    select count(*) as pairs, count(*) filter (where status = 'unchecked') as unchecked_pairs
    from pair_status
    where video_id = s.video_id
) p on true;
