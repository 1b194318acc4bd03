-- What each video's runs took, all fingerprints together: compute and tokens of served models.
create or replace view video_work as
select
    video_id,
    r.compute_s,
    r.failed_stages,
    r.filtered_stages,
    coalesce(c.tokens, 0) as tokens
from (
    select
        video_id,
        sum(compute_s) as compute_s,
        count(*) filter (where status = 'failed') as failed_stages,
        count(*) filter (where status = 'filtered') as filtered_stages
    from stage_runs
    group by video_id
) r
left join (
    select
        video_id,
        sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)) as tokens
    from model_calls
    group by video_id
) c using (video_id);
