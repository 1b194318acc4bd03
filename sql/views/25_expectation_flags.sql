-- Rows that break an expectation of the newest validation of a drop, as flags on the objects themselves.
create or replace view expectation_flags as
with newest as (
    select distinct on (subject_id) subject_id as drop_id, validation_id, results
    from validations
    where subject_kind = 'drop'
    order by subject_id, validated_at desc, validation_id
)
select
    n.drop_id,
    n.validation_id,
    r.found ->> 'id' as object_id,
    case e.result ->> 'view'
        when 'validated_videos' then 'video'
        when 'validated_masklets' then 'masklet'
        when 'validated_segments' then 'transcript_segment'
        when 'validated_instructions' then 'instruction'
    end as object_kind,
    e.result ->> 'name' as expectation,
    e.result ->> 'expects' as means,
    r.found ->> 'value' as value,
    case e.result ->> 'severity' when 'critical' then 'fail' when 'warning' then 'warn' else 'info' end as severity
from newest n
cross join lateral jsonb_array_elements(n.results) e (result)
cross join lateral jsonb_array_elements(e.result -> 'ids') r (found)
where e.result ->> 'view' <> 'validated_mixtures';  -- its rows are shares of groups, no objects
