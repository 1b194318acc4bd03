-- The last begun run of every video in every stage that has ended: what holds until a newer one ends.
create or replace view current_stage_runs as
select distinct on (video_id, stage) *
from stage_runs
where status <> 'running'
order by video_id, stage, started_at desc;
