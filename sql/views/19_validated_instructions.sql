-- The accepted pairs of a drop or dataset: those that are published. What quality refused is not looked at again.
create or replace view validated_instructions as
select
    s.subject_kind,
    s.subject_id,
    s.video_id,
    i.instruction_id,
    nullif(i.pair_key, '') as pair_key,
    nullif(i.pair_key, '') || ' of ' || i.video_id as pair,
    i.group_name,
    i.task_type,
    i.group_name || ' ' || i.task_type as task,
    p.error_estimate,
    (i.start_s is null) = (i.end_s is null) and coalesce(i.start_s < i.end_s, true) as is_interval,
    greatest(-i.start_s, i.end_s - v.duration_s, 0) as time_overhang_s,
    t.turns,
    t.faulty_turns,  -- empty, or not by turns human and gpt
    r.blind_regions,  -- of an entity that no frame shows
    r.unknown_sources  -- ids of no entity, clip or segment of this video
from validation_subjects s
join pair_status p on p.video_id = s.video_id and p.status = 'accepted'
join instructions i on i.instruction_id = p.instruction_id
join videos v on v.video_id = s.video_id
cross join lateral (
    select
        count(*) as turns,
        count(*) filter (
            where trim(turn->>'text') = '' or turn->>'role' <> (array['gpt', 'human'])[place % 2 + 1]
        ) as faulty_turns
    from jsonb_array_elements(i.turns) with ordinality as said (turn, place)
) t
cross join lateral (
    select
        (
            select count(*) from unnest(i.region_entity_ids) region
            where not exists (
                select from masklets m
                where m.video_id = i.video_id and m.entity_id = region and m.visible_frames > 0
            )
        ) as blind_regions,
        (
            select count(*) from unnest(i.source_ids) source
            where not exists (select from entities e where e.video_id = i.video_id and e.entity_id = source)
                and not exists (select from clips c where c.video_id = i.video_id and c.clip_id = source)
                and not exists (
                    select from transcript_segments g
                    where g.video_id = i.video_id and g.segment_id = source
                )
        ) as unknown_sources
) r;
