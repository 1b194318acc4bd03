-- Probes: the masklet cascades measured against known truth, and how the figures move over time.

create table probes (
    probe_id text not null,  -- of the parameters and of the run that asked: run again, the same row
    started_at timestamptz not null,
    version text not null,  -- of strefer
    seed bigint,  -- of the world; null: own videos
    perception text not null,
    knobs text not null,  -- which difficulties the videos have, as asked for
    noise jsonb,  -- rates of the error model; null: a perception that looks at the pictures
    config jsonb not null,  -- of the masklets stage
    videos integer not null,  -- with figures
    entities integer not null,  -- asked for in these
    failed jsonb not null default '[]',  -- [{"video": ..., "reason": ...}]
    constraint probes_pkey primary key (probe_id),
    constraint probes_counts_not_negative check (videos >= 0 and entities >= 0),
    constraint probes_failed_is_a_list check (jsonb_typeof(failed) = 'array')
);

create table probe_figures (
    probe_id text not null,
    cascade_name text not null,  -- "cascade" is a reserved word
    knob text not null,  -- "all": over all videos; "none": over those without any
    metric text not null,
    value double precision not null,  -- a figure without anything to count over has no row
    low double precision,  -- 95 % interval over videos; null: fewer than two of them
    high double precision,
    constraint probe_figures_pkey primary key (probe_id, cascade_name, knob, metric),
    constraint probe_figures_probe_fkey foreign key (probe_id) references probes on delete cascade,
    constraint probe_figures_interval check ((low is null) = (high is null) and not low > high)
);

-- A line of the dashboard: one figure of one cascade through all probes.
create index probe_figures_metric_idx on probe_figures (cascade_name, knob, metric);
