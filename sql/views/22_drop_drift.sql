-- How far the mixture of each drop's accepted pairs is from that of its baseline, name by name. `psi` is the
-- name's part of the population stability index; it counts (`is_drift`) where the shares differ by four standard
-- errors and both drops have ten videos, for less is what chance does. Shares below 0.001 count as 0.001.
create or replace view drop_drift as
select
    drop_id, previous_drop_id, mixture, name, share, previous_share,
    (greatest(share, 0.001) - greatest(previous_share, 0.001))
        * ln(greatest(share, 0.001) / greatest(previous_share, 0.001)) as psi,
    coalesce(
        abs(share - previous_share) >= 4 * sqrt(share_error ^ 2 + previous_share_error ^ 2)
            and share <> previous_share and videos >= 10 and previous_videos >= 10,
        false
    ) as is_drift
from drop_baselines b
cross join lateral (
    select
        mixture, name,
        coalesce(max(share) filter (where is_now), 0) as share,
        coalesce(max(share) filter (where not is_now), 0) as previous_share,
        coalesce(max(share_error) filter (where is_now), 0) as share_error,
        coalesce(max(share_error) filter (where not is_now), 0) as previous_share_error,
        max(max(videos) filter (where is_now)) over () as videos,
        max(max(videos) filter (where not is_now)) over () as previous_videos
    from (
        select true as is_now, mixture, name, share, share_error, videos
        from subject_shares
        where subject_kind = 'drop' and subject_id = b.drop_id
        union all
        select false, mixture, name, share, share_error, videos
        from subject_shares
        where subject_kind = 'drop' and subject_id = b.previous_drop_id
    ) both_drops
    group by mixture, name
) n;
