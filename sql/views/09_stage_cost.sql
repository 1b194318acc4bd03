-- Compute seconds per stage over all ended runs: where the time goes.
create or replace view stage_cost as
select
    stage,
    count(*) as runs,
    count(distinct video_id) as videos,
    sum(compute_s) as compute_s,
    avg(compute_s) as mean_compute_s,
    percentile_cont(0.95) within group (order by compute_s) as p95_compute_s
from stage_runs
where status <> 'running'
group by stage;
