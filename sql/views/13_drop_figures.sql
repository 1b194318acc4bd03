-- One line per drop for the overview: what came, what was lost, what is accepted, how wrong it is, what it cost.
create or replace view drop_figures as
select
    d.drop_id,
    d.created_at,
    count(v.video_id) as videos,
    count(v.video_id) filter (where lost.status = 'failed') as failed_videos,
    count(v.video_id) filter (where lost.status = 'filtered') as filtered_videos,
    coalesce(sum(p.pairs), 0)::bigint as pairs,
    coalesce(sum(p.accepted), 0)::bigint as accepted,
    coalesce(sum(p.quarantined), 0)::bigint as quarantined,
    coalesce(sum(p.unchecked), 0)::bigint as unchecked,
    coalesce(sum(p.reviewed), 0)::bigint as reviewed,
    (sum(p.estimated_wrong) / nullif(sum(p.estimated_pairs), 0))::double precision as estimated_error,
    coalesce(sum(p.sampled), 0)::bigint as sampled,
    coalesce(sum(p.sampled_wrong), 0)::bigint as sampled_wrong,
    coalesce(sum(w.compute_s), 0) as compute_s,
    coalesce(sum(w.tokens), 0)::bigint as tokens
from drops d
left join drop_videos v using (drop_id)
left join (
    -- A video that failed anywhere counts as failed, also where another stage filtered it.
    select video_id, min(status) as status
    from current_stage_runs
    where status in ('failed', 'filtered')
    group by video_id
) lost using (video_id)
left join video_pairs p using (video_id)
left join video_work w using (video_id)
group by d.drop_id;
