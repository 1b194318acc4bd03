-- Calls of served models: what each cost and what became of its reply; and what repeated samples said.

create table model_calls (
    -- Random, made with the call: a run that is written twice adds nothing, one that is begun again adds its own.
    call_id text not null,
    number bigint not null generated always as identity,  -- order of arrival
    video_id text not null,
    stage text not null,
    fingerprint text not null,
    question text not null,  -- content hash of all that was asked: the same for every try and sample
    prompt text not null,  -- name and version of the prompt file
    server text not null,
    model text not null,
    sample integer not null,
    outcome text not null,
    reason text,  -- why a reply was not used, or not all of it
    raw_text text,  -- the beginning of such a reply
    elapsed_s double precision not null,
    prompt_tokens bigint,  -- null: the server did not say
    completion_tokens bigint,
    cost double precision,  -- in the currency of the settings' prices; null: tokens or prices unknown
    made_at timestamptz not null default now(),
    constraint model_calls_pkey primary key (call_id),
    constraint model_calls_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade,
    constraint model_calls_outcome_known check (outcome in ('used', 'used_in_part', 'rejected', 'failed')),
    -- Nobody may have to guess why a reply that was paid for was not used.
    constraint model_calls_says_why check (outcome = 'used' or reason is not null),
    constraint model_calls_counts_not_negative check (
        sample >= 0 and elapsed_s >= 0 and prompt_tokens >= 0 and completion_tokens >= 0 and cost >= 0
    )
);

-- The calls of one run, in their order; also serves the deletes that cascade from stage_runs.
create index model_calls_run_idx on model_calls (video_id, stage, fingerprint, number);

alter table transcript_segments
    add column samples jsonb not null default '[]',  -- all that a model said, where it was asked several times
    add column agreement double precision,  -- share of samples that tell the same as the text; null: asked once
    add constraint transcript_segments_samples_are_a_list check (jsonb_typeof(samples) = 'array'),
    add constraint transcript_segments_agreement_in_range check (agreement between 0 and 1);
