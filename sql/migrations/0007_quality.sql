-- Quality: filters fitted to known truth, what people decided, what was validated, which drops may be published.

-- A pair's content: what it says, when, and the masks that it shows. A re-run that makes the same pair under
-- another id finds what a person decided about it. '': made before this column.
alter table instructions add column pair_key text not null default '';
create index instructions_pair_key_idx on instructions (video_id, pair_key);

-- Lowest likeness of what a track's mask covers on one frame with what it covers on all of them; share of it
-- that has the colour which the entity is named by, on its worst frames.
alter table masklets
    add column appearance_similarity double precision,
    add column colour_agreement double precision,
    add constraint masklets_appearance_in_range check (
        appearance_similarity between 0 and 1 and colour_agreement between 0 and 1
    );

-- A filter: coefficients, thresholds and the curve by which it was found right, as one document.
create table filters (
    filter_id text not null,  -- hash of the document
    document jsonb not null,
    created_at timestamptz not null default now(),
    constraint filters_pkey primary key (filter_id),
    constraint filters_document_is_an_object check (jsonb_typeof(document) = 'object')
);

-- What people decided. Never changed and never deleted, not even with the run: the newest one holds.
create table reviews (
    review_id text not null,  -- made by the page that asked: sent twice, it is one row
    number bigint not null generated always as identity,  -- order of arrival
    video_id text not null,
    pair_key text not null,
    instruction_id text not null,  -- as it was when it was shown
    decision text not null,
    turns jsonb,  -- of a "fix": all turns, mended
    note text not null default '',
    reviewer text not null,
    decided_at timestamptz not null default now(),
    constraint reviews_pkey primary key (review_id),
    constraint reviews_decision_known check (decision in ('accept', 'reject', 'fix')),
    constraint reviews_pair_key_not_empty check (pair_key <> ''),
    constraint reviews_reviewer_not_empty check (reviewer <> ''),
    constraint reviews_only_fixes_have_turns check ((decision = 'fix') = (turns is not null)),
    constraint reviews_turns_are_a_list check (jsonb_typeof(turns) = 'array')
);
create index reviews_pair_idx on reviews (video_id, pair_key, number desc);

-- One suite of expectations, held against one drop or dataset.
create table validations (
    validation_id text not null,
    suite text not null,
    subject_kind text not null,
    subject_id text not null,  -- a drop's id or a dataset's version
    dag_run_id text not null default '',  -- of the Airflow run that asked; '': none
    is_success boolean not null,
    results jsonb not null,  -- one object per expectation
    docs_key text,  -- object key of its page
    validated_at timestamptz not null default now(),
    constraint validations_pkey primary key (validation_id),
    constraint validations_subject_kind_known check (subject_kind in ('drop', 'dataset')),
    constraint validations_results_are_a_list check (jsonb_typeof(results) = 'array')
);
create index validations_subject_idx on validations (subject_kind, subject_id, validated_at desc);

-- Whether a drop may be published: the newest row of a drop holds.
create table gates (
    gate_id text not null,
    drop_id text not null,
    dag_run_id text not null default '',
    is_open boolean not null,
    bars jsonb not null,  -- [{"bar", "value", "limit", "is_met", "rows": [...]}]
    overridden_by text,  -- who opened it although a bar was not met
    decided_at timestamptz not null default now(),
    constraint gates_pkey primary key (gate_id),
    constraint gates_drop_fkey foreign key (drop_id) references drops on delete cascade,
    constraint gates_bars_are_a_list check (jsonb_typeof(bars) = 'array'),
    constraint gates_only_open_ones_are_overridden check (overridden_by is null or is_open)
);
create index gates_newest_idx on gates (drop_id, decided_at desc);

-- The filter whose verdicts a version was published by.
alter table datasets add column filter_id text;

-- In which queue a pair was reviewed: 'borderline' is chosen by the filter's doubt, 'sample' by chance, so only
-- the second one says how often accepted pairs are wrong. '': by itself, from the page of its video.
alter table reviews add column queue text not null default '';
alter table reviews add constraint reviews_queue_known check (queue in ('', 'borderline', 'sample'));

-- What the view instruction_status says, written down per video whenever a run or a review changes it: pages
-- read 100,000 pairs in milliseconds, and nobody has to remember to refresh anything.
create table pair_status (
    instruction_id text not null,
    video_id text not null,
    pair_key text not null,
    group_name text not null,
    task_type text not null,
    status text not null,
    verdict text not null,  -- by the flags alone, before any review
    failed_checks text[],
    error_estimate double precision,  -- chance that the pair is wrong; null: no filter looked at it
    error_threshold double precision,
    decision text,  -- of the newest review
    review_queue text,
    review_rank integer,  -- 0: stopped by the filter alone, 1: let through; null: not worth a person's time
    review_distance double precision not null,  -- from the filter's threshold; 2: no filter looked at it
    sample_key text not null generated always as (md5(instruction_id)) stored,  -- an order by chance
    constraint pair_status_pkey primary key (instruction_id),
    constraint pair_status_instruction_fkey foreign key (instruction_id)
        references instructions on delete cascade,
    constraint pair_status_status_known check (status in ('accepted', 'quarantined', 'unchecked')),
    constraint pair_status_verdict_known check (verdict in ('accepted', 'quarantined', 'unchecked'))
);
-- Replacing the rows of one video, counting them by drop.
create index pair_status_video_idx on pair_status (video_id);
-- The two review queues hold what nobody has decided on.
create index pair_status_borderline_idx on pair_status (review_rank, review_distance, instruction_id)
    where decision is null and review_rank is not null;
create index pair_status_sample_idx on pair_status (sample_key)
    where decision is null and verdict = 'accepted';

-- How many objects of a video each check looked at and what it found, likewise kept up to date.
create table check_counts (
    video_id text not null,
    stage text not null generated always as ('quality') stored,
    fingerprint text not null,
    check_name text not null,
    object_kind text not null,
    objects bigint not null,
    warned bigint not null,
    failed bigint not null,
    -- The values themselves, and those of them that are findings, without what is no finite number: a
    -- distribution over 100,000 objects is read from some thousand rows.
    numbers double precision[] not null,
    findings double precision[] not null,
    lowest double precision,  -- of `numbers`; null: there is none
    highest double precision,
    low_threshold double precision not null,
    high_threshold double precision not null,
    constraint check_counts_pkey primary key (video_id, check_name, object_kind),
    constraint check_counts_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade
);
