-- The current masklets of a drop or dataset, with what must hold of each. Overhangs are 0 where all is inside.
create or replace view validated_masklets as
select
    s.subject_kind,
    s.subject_id,
    s.video_id,
    m.masklet_id,
    m.visible_frames,
    m.visible[m.start_frame_index + 1] as is_start_visible,
    m.detector_score,
    m.forward_backward_iou,
    (select max(area_px) from unnest(m.areas_px) area_px) / (v.width_px * v.height_px)::double precision
        as largest_area_share,
    greatest(-m.frames_pts_s[1], m.frames_pts_s[cardinality(m.frames_pts_s)] - v.duration_s, 0)
        as time_overhang_s,
    b.box_overhang_px,
    b.unlike_frames  -- that have a mask and no box, or a box and no mask
from validation_subjects s
join videos v using (video_id)
-- `offset 0` keeps this a look-up per video; joined flat, the newest run of every video there is gets sought.
cross join lateral (
    select masklets.*
    from current_stage_runs run
    join masklets using (video_id, fingerprint)
    where run.video_id = s.video_id and run.stage = 'masklets'
    offset 0
) m
cross join lateral (
    select
        coalesce(max(greatest(
            -(box->>0)::double precision, -(box->>1)::double precision,
            (box->>2)::double precision - v.width_px, (box->>3)::double precision - v.height_px, 0
        )) filter (where jsonb_typeof(box) = 'array'), 0) as box_overhang_px,
        count(*) filter (where (jsonb_typeof(box) = 'array') <> m.visible[place]) as unlike_frames
    from jsonb_array_elements(m.boxes_px) with ordinality as frame (box, place)
) b;
