-- How far each drop is, stage by stage. `videos` is the size of the drop: what is in no count has not begun.
create or replace view drop_progress as
select
    d.drop_id,
    r.stage,
    (select count(*) from drop_videos v where v.drop_id = d.drop_id) as videos,
    count(*) filter (where r.status = 'done') as done,
    count(*) filter (where r.status = 'filtered') as filtered,
    count(*) filter (where r.status = 'failed') as failed,
    count(*) filter (where r.status = 'running') as running,
    sum(r.compute_s) as compute_s,
    min(r.started_at) as first_started_at,
    max(r.finished_at) as last_finished_at
from drop_videos d
join newest_stage_runs r using (video_id)
group by d.drop_id, r.stage;
