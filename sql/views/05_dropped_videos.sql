-- Every video that did not get through a stage, with its name and the reason.
create or replace view dropped_videos as
select
    d.drop_id, d.video_id, d.key, r.stage, r.status, r.error_class, r.reason,
    r.is_retryable, r.attempts, r.finished_at, r.worker
from drop_videos d
join current_stage_runs r using (video_id)
where r.status in ('failed', 'filtered');
