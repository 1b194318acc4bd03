-- Pairs of each video by status, what the filter expects of the accepted, and what people found in samples.
create or replace view video_pairs as
select
    video_id,
    count(*) as pairs,
    count(*) filter (where status = 'accepted') as accepted,
    count(*) filter (where status = 'quarantined') as quarantined,
    count(*) filter (where status = 'unchecked') as unchecked,
    sum(error_estimate) filter (where status = 'accepted') as estimated_wrong,
    count(error_estimate) filter (where status = 'accepted') as estimated_pairs,
    count(*) filter (where decision is not null) as reviewed,
    -- Only what was drawn by chance tells how often accepted pairs are wrong.
    count(*) filter (where verdict = 'accepted' and review_queue = 'sample') as sampled,
    count(*) filter (
        where verdict = 'accepted' and review_queue = 'sample' and decision <> 'accept'
    ) as sampled_wrong
from pair_status
group by video_id;
