-- Compute seconds per stage over all ended runs, and what its calls of served models cost: where it all goes.
create or replace view stage_cost as
select
    r.stage,
    count(*) as runs,
    count(distinct r.video_id) as videos,
    sum(r.compute_s) as compute_s,
    avg(r.compute_s) as mean_compute_s,
    percentile_cont(0.95) within group (order by r.compute_s) as p95_compute_s,
    coalesce(sum(c.calls), 0) as model_calls,
    coalesce(sum(c.rejected), 0) as rejected_calls,
    coalesce(sum(c.failed), 0) as failed_calls,
    coalesce(sum(c.prompt_tokens), 0) as prompt_tokens,
    coalesce(sum(c.completion_tokens), 0) as completion_tokens,
    sum(c.cost) as cost  -- null: no prices are set
from stage_runs r
left join (
    select
        video_id, stage, fingerprint,
        count(*) as calls,
        count(*) filter (where outcome = 'rejected') as rejected,
        count(*) filter (where outcome = 'failed') as failed,
        sum(prompt_tokens) as prompt_tokens,
        sum(completion_tokens) as completion_tokens,
        sum(cost) as cost
    from model_calls
    group by video_id, stage, fingerprint
) c using (video_id, stage, fingerprint)
where r.status <> 'running'
group by r.stage;
