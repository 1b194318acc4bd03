-- Drops, videos, the state of every stage on every video, and the rows that the stages made.
-- Blobs (videos, result documents with the masks) are in the object store; rows name them by key.

create table drops (
    drop_id text not null,
    prefix text not null,  -- object keys of the drop begin with it
    created_at timestamptz not null default now(),
    constraint drops_pkey primary key (drop_id)
);

create table drop_objects (
    drop_id text not null,
    -- Collation "C": byte order, the order in which S3 lists keys, and an index order that serves prefixes.
    key text collate "C" not null,
    etag text not null,
    size_bytes bigint not null,
    -- No reference to videos: a file that is no video has an id (of its bytes) but never a row there.
    video_id text not null,
    -- One key is one delivery in a drop; the same bytes under two keys are two rows with one video_id.
    constraint drop_objects_pkey primary key (drop_id, key),
    constraint drop_objects_drop_fkey foreign key (drop_id) references drops on delete cascade,
    constraint drop_objects_size_not_negative check (size_bytes >= 0),
    constraint drop_objects_video_id_is_hash check (video_id ~ '^[0-9a-f]{16}$')
);

-- What is known of a video starts from its names: `strefer show`, failures with names.
create index drop_objects_video_id_idx on drop_objects (video_id);
-- Ingestion asks which keys under a prefix are known, whichever drop brought them.
create index drop_objects_key_idx on drop_objects (key);

create table stage_runs (
    video_id text not null,
    stage text not null,
    fingerprint text not null,
    status text not null,
    result_key text,  -- object key of the result document
    reason text,  -- why filtered, or the message of the failure
    error_class text,
    is_retryable boolean not null default false,
    attempts integer not null default 1,
    compute_s double precision not null default 0,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    worker text,  -- host:pid of the last process that began it
    -- Exactly one state per computation; several fingerprints of one stage are its history.
    constraint stage_runs_pkey primary key (video_id, stage, fingerprint),
    constraint stage_runs_status_known check (status in ('running', 'done', 'filtered', 'failed')),
    -- A done run without its document could never be read again.
    constraint stage_runs_done_has_result check (status <> 'done' or result_key is not null),
    constraint stage_runs_unsettled_has_no_result check (
        status not in ('running', 'failed') or result_key is null
    ),
    -- Nobody may have to guess why a video dropped out.
    constraint stage_runs_failed_says_why check (
        (status = 'failed') = (error_class is not null) and (status <> 'failed' or reason is not null)
    ),
    constraint stage_runs_filtered_says_why check (status <> 'filtered' or reason is not null),
    constraint stage_runs_only_failures_retry check (status = 'failed' or not is_retryable),
    constraint stage_runs_running_is_open check ((status = 'running') = (finished_at is null)),
    constraint stage_runs_attempts_from_one check (attempts >= 1),
    constraint stage_runs_compute_s_not_negative check (compute_s >= 0)
);

-- The newest run of a video in a stage: what every view starts from.
create index stage_runs_newest_idx on stage_runs (video_id, stage, started_at desc);
-- The failures page reads a few rows of very many.
create index stage_runs_dropped_idx on stage_runs (stage, video_id) where status in ('failed', 'filtered');

-- Rows of results. Each names the run that made it (a generated `stage` keeps a clip from ever hanging on
-- another stage's run) and goes with it. Ids hold the fingerprint, so histories stand side by side.

create table videos (
    video_id text not null,
    stage text not null generated always as ('videos') stored,
    fingerprint text not null,
    sha256 text not null,
    size_bytes bigint not null,
    container text not null,
    codec text not null,
    pixel_format text not null,
    width_px integer not null,
    height_px integer not null,
    rotation_deg integer not null,
    -- Exact: 30000/1001 has no float. `fps` is for eyes only.
    fps_numerator bigint not null,
    fps_denominator bigint not null,
    fps double precision not null
        generated always as (fps_numerator::double precision / fps_denominator) stored,
    frame_count integer not null,
    duration_s double precision not null,
    is_variable_rate boolean not null,
    has_audio boolean not null,
    motion_px double precision,  -- null: the codec has no motion vectors
    black_share double precision not null,
    frozen_share double precision not null,
    sharpness double precision not null,
    perceptual_hashes text[] not null,
    -- One row per video, by its newest run: its facts follow from its bytes. A filtered video has one too.
    constraint videos_pkey primary key (video_id),
    constraint videos_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade,
    constraint videos_id_is_hash check (length(sha256) = 64 and video_id = left(sha256, 16)),
    constraint videos_sizes_positive check (
        size_bytes > 0 and width_px > 0 and height_px > 0 and frame_count > 0 and duration_s >= 0
    ),
    constraint videos_rotation_is_quarter_turns check (rotation_deg in (0, 90, 180, 270)),
    constraint videos_fps_positive check (fps_numerator > 0 and fps_denominator > 0),
    constraint videos_shares_in_range check (
        black_share between 0 and 1 and frozen_share between 0 and 1
    )
);

create table clips (
    clip_id text not null,
    video_id text not null,
    stage text not null generated always as ('clips') stored,
    fingerprint text not null,
    index integer not null,
    start_s double precision not null,
    end_s double precision not null,
    constraint clips_pkey primary key (clip_id),
    constraint clips_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade,
    -- Half-open and not empty.
    constraint clips_interval check (0 <= start_s and start_s < end_s),
    -- Also the index by run, which replacing and deleting a run's rows needs.
    constraint clips_place_unique unique (video_id, fingerprint, index),
    -- Target of references that must stay inside one video.
    constraint clips_video_key unique (video_id, clip_id)
);

create table entities (
    entity_id text not null,
    video_id text not null,
    stage text not null generated always as ('entities') stored,
    fingerprint text not null,
    index integer not null,
    expression text not null,
    noun text not null,
    generalized_noun text not null,
    attributes jsonb not null default '{}',  -- {"colour": "red"}
    constraint entities_pkey primary key (entity_id),
    constraint entities_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade,
    constraint entities_words_not_empty check (expression <> '' and noun <> '' and generalized_noun <> ''),
    constraint entities_place_unique unique (video_id, fingerprint, index),
    constraint entities_video_key unique (video_id, entity_id)
);

create table masklets (
    masklet_id text not null,
    video_id text not null,
    stage text not null generated always as ('masklets') stored,
    fingerprint text not null,
    entity_id text not null,
    -- One item per sampled frame in each array. The masks themselves (RLE) are in the run's document.
    frames_pts_s double precision[] not null,
    visible boolean[] not null,
    boxes_px jsonb not null,  -- [[x0, y0, x1, y1] or null, ...]
    areas_px integer[] not null,
    visible_frames integer not null
        generated always as (cardinality(array_positions(visible, true))) stored,
    detector_score double precision not null,
    assignment_margin double precision,  -- null: no rival track
    start_frame_index integer not null,
    forward_backward_iou double precision,
    constraint masklets_pkey primary key (masklet_id),
    constraint masklets_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade,
    -- With the video in the key, a track can never be tied to another video's entity.
    constraint masklets_entity_fkey foreign key (video_id, entity_id)
        references entities (video_id, entity_id) on delete cascade,
    -- At most one per entity; also the index by run.
    constraint masklets_entity_unique unique (video_id, fingerprint, entity_id),
    constraint masklets_arrays_align check (
        cardinality(visible) = cardinality(frames_pts_s)
        and cardinality(areas_px) = cardinality(frames_pts_s)
        and jsonb_array_length(boxes_px) = cardinality(frames_pts_s)
    ),
    constraint masklets_start_in_frames check (
        start_frame_index >= 0 and start_frame_index < cardinality(frames_pts_s)
    )
);

-- Deleting an entity looks for its masklets; without it that is a scan of the whole table.
create index masklets_entity_idx on masklets (video_id, entity_id);

create table transcript_segments (
    segment_id text not null,
    video_id text not null,
    stage text not null generated always as ('transcript') stored,
    fingerprint text not null,
    clip_id text not null,
    entity_id text not null,
    start_s double precision not null,
    end_s double precision not null,
    text text,  -- null: the entity is not visible in the clip
    actions jsonb not null default '[]',
    constraint transcript_segments_pkey primary key (segment_id),
    constraint transcript_segments_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade,
    -- One video's words can never be attached to another video's clip or entity.
    constraint transcript_segments_clip_fkey foreign key (video_id, clip_id)
        references clips (video_id, clip_id) on delete cascade,
    constraint transcript_segments_entity_fkey foreign key (video_id, entity_id)
        references entities (video_id, entity_id) on delete cascade,
    constraint transcript_segments_pair_unique unique (video_id, fingerprint, clip_id, entity_id),
    constraint transcript_segments_interval check (0 <= start_s and start_s < end_s)
);

-- Both serve the deletes that cascade from clips and entities.
create index transcript_segments_clip_idx on transcript_segments (video_id, clip_id);
create index transcript_segments_entity_idx on transcript_segments (video_id, entity_id);

create table instructions (
    instruction_id text not null,
    video_id text not null,
    stage text not null generated always as ('instructions') stored,
    fingerprint text not null,
    group_name text not null,  -- "group" is a reserved word
    task_type text not null,
    turns jsonb not null,  -- [{"role": "human", "text": ...}, {"role": "gpt", "text": ...}, ...]
    region_entity_ids text[] not null,
    start_s double precision,
    end_s double precision,
    is_negative boolean not null,
    template_id text not null,
    source_ids text[] not null,  -- entities, clips and segments that it was made from
    -- Accepted or quarantined is no column: it follows from the flags, see the view instruction_status.
    constraint instructions_pkey primary key (instruction_id),
    constraint instructions_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade,
    constraint instructions_group_known check (group_name ~ '^G[1-8]$'),
    -- Only the shape. Whether turns alternate and times lie in the video is for the quality stage to say:
    -- a malformed instruction is to be seen and flagged, not to fail its video.
    constraint instructions_turns_are_a_list check (jsonb_typeof(turns) = 'array')
);

-- Replacing, reading and deleting the rows of one run.
create index instructions_run_idx on instructions (video_id, fingerprint);

create table flags (
    video_id text not null,
    stage text not null generated always as ('quality') stored,
    fingerprint text not null,
    object_id text not null,
    object_kind text not null,
    check_name text not null,  -- "check" is a reserved word
    value double precision not null,
    threshold double precision not null,
    severity text not null,
    -- One finding of one check on one object in one run.
    constraint flags_pkey primary key (video_id, fingerprint, object_id, check_name),
    constraint flags_run_fkey foreign key (video_id, stage, fingerprint)
        references stage_runs on delete cascade,
    constraint flags_object_kind_known check (
        object_kind in ('entity', 'masklet', 'transcript_segment', 'instruction')
    ),
    constraint flags_severity_known check (severity in ('info', 'warn', 'fail'))
);

-- Status is derived from the few that fail, not from the many that pass.
create index flags_failed_idx on flags (video_id, fingerprint, object_id) where severity = 'fail';

create table datasets (
    version text not null,
    manifest_key text not null,
    counts jsonb not null,
    created_at timestamptz not null default now(),
    constraint datasets_pkey primary key (version)
);

create table dataset_videos (
    version text not null,
    video_id text not null,
    stage text not null generated always as ('quality') stored,
    fingerprint text not null,  -- of the quality run whose verdicts were published
    constraint dataset_videos_pkey primary key (version, video_id),
    constraint dataset_videos_dataset_fkey foreign key (version) references datasets on delete cascade,
    -- No cascade: what a published version was made from cannot be deleted under it.
    constraint dataset_videos_run_fkey foreign key (video_id, stage, fingerprint) references stage_runs
);

-- "Which versions hold this video", and the check behind dataset_videos_run_fkey.
create index dataset_videos_run_idx on dataset_videos (video_id, stage, fingerprint);
