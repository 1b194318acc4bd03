-- The figures of a drop that its gate holds against the bars; null: nothing to measure it by.
create or replace view gate_figures as
select
    d.drop_id,
    v.videos,
    v.failed_videos,
    v.failed_videos / nullif(v.videos, 0)::double precision as failed_share,
    p.pairs,
    p.accepted,
    p.accepted / nullif(p.pairs, 0)::double precision as accepted_share,
    p.estimated_error,
    m.drift
from drops d
cross join lateral (
    select count(*) as videos, count(*) filter (where state = 'failed') as failed_videos
    from validated_videos
    where subject_kind = 'drop' and subject_id = d.drop_id
) v
cross join lateral (
    select
        count(*) filter (where p.status <> 'unchecked') as pairs,
        count(*) filter (where p.status = 'accepted') as accepted,
        avg(p.error_estimate) filter (where p.status = 'accepted') as estimated_error
    from drop_videos s
    join pair_status p using (video_id)
    where s.drop_id = d.drop_id
) p
cross join lateral (
    select max(drift) as drift
    from validated_mixtures
    where subject_kind = 'drop' and subject_id = d.drop_id
) m;
