-- The mixtures of a drop or dataset, one row each: balance, and drift from the baseline (null without one).
create or replace view validated_mixtures as
select
    m.subject_kind,
    m.subject_id,
    m.mixture,
    m.names,
    m.largest_share,
    d.drift
from (
    select subject_kind, subject_id, mixture, count(*) as names, max(share) as largest_share
    from subject_shares
    group by subject_kind, subject_id, mixture
) m
left join lateral (
    select coalesce(sum(psi) filter (where is_drift), 0) as drift
    from drop_drift
    where m.subject_kind = 'drop' and drop_id = m.subject_id and mixture = m.mixture
    having count(*) > 0
) d on true;
