-- Quality: filters fitted to known truth, what people decided, what was validated, which drops may be published.

-- A pair's content: what it says, when, and the masks that it shows. A re-run that makes the same pair under
-- another id finds what a person decided about it. '': made before this column.
alter table instructions add column pair_key text not null default '';
create index instructions_pair_key_idx on instructions (video_id, pair_key);

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
