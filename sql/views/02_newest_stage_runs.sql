-- The last begun run of every video in every stage, whatever its state.
create or replace view newest_stage_runs as
select distinct on (video_id, stage) *
from stage_runs
order by video_id, stage, started_at desc;
