-- Learning: long jobs on the train queue, the models that came of them, how good they are, which one is used.

-- One piece of work for a whole machine: a training, an evaluation.
create table jobs (
    job_id text not null,  -- of the run that asked and of what it asked for: asked again, the same row
    kind text not null,
    spec jsonb not null,
    status text not null default 'open',
    attempts integer not null default 0,  -- starts; one begun while the row says `running` follows a death
    result jsonb,  -- set where it is done
    error_class text,
    reason text,  -- why it failed
    worker text,  -- host and process of the last start
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint jobs_pkey primary key (job_id),
    constraint jobs_kind_known check (kind in ('train', 'evaluate')),
    constraint jobs_status_known check (status in ('open', 'running', 'done', 'failed', 'cancelled')),
    constraint jobs_spec_is_an_object check (jsonb_typeof(spec) = 'object'),
    constraint jobs_only_done_ones_have_a_result check ((status = 'done') = (result is not null)),
    constraint jobs_failures_have_reasons check ((status = 'failed') = (reason is not null))
);

-- What a training says of itself while it runs.
create table training_figures (
    job_id text not null,
    step integer not null,
    name text not null,  -- loss, learning_rate, ...
    value double precision not null,
    constraint training_figures_pkey primary key (job_id, step, name),
    constraint training_figures_job_fkey foreign key (job_id) references jobs on delete cascade
);

-- A trained model, never changed; its files are in the object store under its version.
create table models (
    version text not null,  -- hash of its files
    manifest_key text not null,
    dataset_version text not null,
    base text,  -- version or name of the model that it was trained from; null: from scratch
    preset text not null,
    options jsonb not null,
    job_id text,  -- the training; null: brought from elsewhere
    number bigint not null generated always as identity,
    created_at timestamptz not null default now(),
    constraint models_pkey primary key (version),
    constraint models_dataset_fkey foreign key (dataset_version) references datasets
);
create index models_dataset_idx on models (dataset_version);

-- One model asked one fixed bench.
create table evaluations (
    model_version text not null,
    bench_id text not null,  -- hash of what is asked: only the same bench compares
    figures jsonb not null,
    items_key text not null,  -- object key of every answer, a line of JSON each
    created_at timestamptz not null default now(),
    constraint evaluations_pkey primary key (model_version, bench_id),
    constraint evaluations_model_fkey foreign key (model_version) references models on delete cascade,
    constraint evaluations_figures_are_an_object check (jsonb_typeof(figures) = 'object')
);

-- Which model is used: the newest row that promotes names the champion. Never changed.
create table promotions (
    promotion_id text not null,
    number bigint not null generated always as identity,
    model_version text not null,
    champion_version text,  -- before; null: there was none
    is_promoted boolean not null,
    comparison jsonb not null,
    decided_by text not null default '',  -- '': the rule
    decided_at timestamptz not null default now(),
    constraint promotions_pkey primary key (promotion_id),
    constraint promotions_model_fkey foreign key (model_version) references models on delete cascade
);
create index promotions_champion_idx on promotions (number desc) where is_promoted;
create index promotions_model_idx on promotions (model_version);
