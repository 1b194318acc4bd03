-- What each drop is compared with: the last drop before it that was let through.
create or replace view drop_baselines as
select d.drop_id, b.drop_id as previous_drop_id
from drops d
cross join lateral (
    select earlier.drop_id
    from drops earlier
    cross join lateral (
        select is_open from gates where gates.drop_id = earlier.drop_id order by decided_at desc limit 1
    ) g
    where (earlier.created_at, earlier.drop_id) < (d.created_at, d.drop_id) and g.is_open
    order by earlier.created_at desc, earlier.drop_id desc
    limit 1
) b;
