-- What the accepted pairs of a drop or dataset are made of: the share of each group and of each task type, and
-- the standard error of that share. Videos were drawn, not pairs, and those of one video are alike, so the error
-- is that of a ratio over videos; null for a single one.
create or replace view subject_shares as
select
    subject_kind,
    subject_id,
    mixture,
    name,
    n.pairs,
    t.videos,
    n.pairs / t.pairs as share,
    sqrt(
        greatest(
            n.squares - 2 * (n.pairs / t.pairs) * n.products + (n.pairs / t.pairs) ^ 2 * t.squares, 0
        ) * t.videos / nullif(t.videos - 1, 0)
    ) / t.pairs as share_error
from (
    select
        subject_kind, subject_id, mixture, name,
        sum(pairs)::double precision as pairs,
        sum(pairs * pairs)::double precision as squares,
        sum(pairs * of_video)::double precision as products
    from (
        select
            s.subject_kind, s.subject_id, s.video_id, m.mixture, m.name,
            count(*) as pairs,
            sum(count(*)) over (partition by s.subject_kind, s.subject_id, s.video_id, m.mixture) as of_video
        from validation_subjects s
        join pair_status p on p.video_id = s.video_id and p.status = 'accepted'
        cross join lateral (
            values ('group', p.group_name), ('task_type', p.task_type)
        ) as m (mixture, name)
        group by s.subject_kind, s.subject_id, s.video_id, m.mixture, m.name
    ) per_video
    group by subject_kind, subject_id, mixture, name
) n
join (
    select
        subject_kind, subject_id,
        count(*) as videos,
        sum(pairs)::double precision as pairs,
        sum(pairs * pairs)::double precision as squares
    from (
        select s.subject_kind, s.subject_id, s.video_id, count(*) as pairs
        from validation_subjects s
        join pair_status p on p.video_id = s.video_id and p.status = 'accepted'
        group by s.subject_kind, s.subject_id, s.video_id
    ) per_video
    group by subject_kind, subject_id
) t using (subject_kind, subject_id);
