-- What was asked for, apart from what happened: a batch is over when none of its requests is open.

create table requests (
    batch_id text not null,
    video_id text not null,
    stage text not null,
    fingerprint text not null,
    created_at timestamptz not null default now(),
    finished_at timestamptz,  -- null: open
    -- No reference to stage_runs: a request comes before the run that answers it.
    constraint requests_pkey primary key (batch_id, video_id, stage, fingerprint)
);

-- The trigger asks every few seconds which of its batches still wait: one probe per batch into an index
-- that holds nothing but open requests.
create index requests_open_batch_idx on requests (batch_id) where finished_at is null;
-- Whoever finishes a run closes all requests for it, of whichever batch.
create index requests_open_run_idx on requests (video_id, stage, fingerprint) where finished_at is null;
