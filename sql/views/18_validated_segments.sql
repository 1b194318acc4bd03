-- The current transcript segments of a drop or dataset, with what must hold of each.
create or replace view validated_segments as
select
    s.subject_kind,
    s.subject_id,
    s.video_id,
    t.segment_id,
    greatest(-t.start_s, t.end_s - v.duration_s, 0) as time_overhang_s,
    greatest(t.clip_start_s - t.start_s, t.end_s - t.clip_end_s, 0) as clip_overhang_s,
    t.has_masklet
from validation_subjects s
join videos v using (video_id)
-- `offset 0`: see validated_masklets.
cross join lateral (
    select
        segment.segment_id, segment.start_s, segment.end_s, c.start_s as clip_start_s, c.end_s as clip_end_s,
        exists (
            select from masklets m
            where m.video_id = segment.video_id and m.entity_id = segment.entity_id
        ) as has_masklet
    from current_stage_runs run
    join transcript_segments segment using (video_id, fingerprint)
    join clips c using (clip_id)
    where run.video_id = s.video_id and run.stage = 'transcript'
    offset 0
) t;
