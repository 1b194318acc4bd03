-- Every figure of every probe, with the one before it that is comparable: same world, perception and noise.
create or replace view probe_history as
select
    p.probe_id, p.started_at, p.version, p.seed, p.perception, p.knobs, p.videos, p.entities,
    f.cascade_name, f.knob, f.metric, f.value, f.low, f.high,
    lag(f.value) over (
        partition by
            p.seed, p.perception, p.knobs, p.noise, p.videos, f.cascade_name, f.knob, f.metric
        order by p.started_at, p.probe_id
    ) as previous_value
from probes p
join probe_figures f using (probe_id);
