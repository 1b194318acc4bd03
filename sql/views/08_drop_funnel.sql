-- From files to accepted pairs, and what an accepted pair cost.
create or replace view drop_funnel as
select
    d.drop_id,
    sum(d.objects) as objects,
    count(*) as videos,
    count(*) filter (where v.status = 'done') as usable_videos,
    count(*) filter (where v.status = 'filtered') as filtered_videos,
    count(*) filter (where v.status = 'failed') as unreadable_videos,
    coalesce(sum(i.instructions), 0) as instructions,
    coalesce(sum(i.accepted), 0) as accepted,
    coalesce(sum(i.quarantined), 0) as quarantined,
    coalesce(sum(c.compute_s), 0) as compute_s,
    sum(c.compute_s) / nullif(sum(i.accepted), 0) as compute_s_per_accepted,
    sum(m.cost) as cost,  -- of calls of served models; null: no prices are set
    sum(m.cost) / nullif(sum(i.accepted), 0) as cost_per_accepted
from drop_videos d
left join current_stage_runs v on v.video_id = d.video_id and v.stage = 'videos'
left join (
    select
        video_id,
        count(*) as instructions,
        count(*) filter (where status = 'accepted') as accepted,
        count(*) filter (where status = 'quarantined') as quarantined
    from pair_status
    group by video_id
) i on i.video_id = d.video_id
left join (
    select video_id, sum(compute_s) as compute_s from stage_runs group by video_id
) c on c.video_id = d.video_id
left join (
    select video_id, sum(cost) as cost from model_calls group by video_id
) m on m.video_id = d.video_id
group by d.drop_id;
