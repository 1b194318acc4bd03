"""The words of the platform as frozen values, the same nouns as in tables, stages and task ids.

Times are float seconds of presentation time counted from the first frame (`_s`); intervals are
half-open. Boxes are `(x0, y0, x1, y1)` pixels, half-open. Sizes are display sizes: rotation applied.
An unknown value is `None`. Arrays never live here: masks are COCO run-length encodings.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from typing_extensions import TypedDict  # typing's own cannot be validated by pydantic before Python 3.12

FRAME_COUNT = 32
"""Sampled frames per video: `linspace` over its frames, first and last included (the released format)."""

Box = tuple[float, float, float, float]
Affine = tuple[float, float, float, float, float, float]
"""(a, b, tx, c, d, ty): point (x, y) goes to (a x + b y + tx, c x + d y + ty), in display pixels counted from
the picture's corner, as boxes are: the middle of the first pixel lies at (0.5, 0.5)."""
Severity = Literal["info", "warn", "fail"]
Status = Literal["running", "done", "filtered", "failed"]
Outcome = Literal["used", "used_in_part", "rejected", "failed"]
"""Of a call of a served model; failed: no reply came. Rejected: one came and nothing of it may be used."""


class Rle(TypedDict):
    """COCO run-length encoding, column-major: `size` is `[height_px, width_px]`, `counts` is ASCII."""

    size: list[int]
    counts: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Cheap figures of one video, measured before anything heavy."""

    # Mean length of the codec's motion vectors over the fastest 1 % of the picture, in pixels between a frame
    # and its reference; None where the codec shows no vectors (H.265, VP9, AV1, all-key-frame codecs).
    motion_px: float | None
    black_share: float  # share of sampled frames that are black, 0..1
    frozen_share: float  # share of neighbouring sampled frames that do not differ, 0..1
    sharpness: float  # median variance of the Laplacian over the sampled frames
    perceptual_hashes: tuple[str, ...]  # 64-bit, 16 hex digits, of 8 evenly spaced frames in time order


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """One distinct file. Carries no name: the same bytes under two names are one video."""

    video_id: str  # first 16 hex digits of `sha256`
    sha256: str  # of the file's bytes, 64 hex digits
    size_bytes: int
    container: str  # as the demuxer names it, for example "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str  # "h264"
    pixel_format: str  # "yuv420p10le"
    width_px: int  # display width, rotation applied
    height_px: int
    rotation_deg: int  # clockwise turn that the file asks for: 0, 90, 180, 270
    fps: Fraction  # exact average rate, frame_count / duration where the container gives none
    frame_count: int
    duration_s: float  # end of the last frame, counted from the start of the first
    is_variable_rate: bool
    has_audio: bool
    figures: Figures


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One semantically coherent interval `[start_s, end_s)` of a video."""

    clip_id: str
    video_id: str
    index: int  # order in the video, from 0
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Entity:
    """One active thing of a video, in words that tell it from the others."""

    entity_id: str
    video_id: str
    index: int
    expression: str  # "the small red square", unique in the video
    noun: str  # "square"
    generalized_noun: str  # "person" for every human, else a broad category noun: "object"
    attributes: tuple[tuple[str, str], ...] = ()  # (("colour", "red"), ("size", "small")), sorted by name


@dataclass(frozen=True, kw_only=True, slots=True)
class Masklet:
    """One entity's masks over the video's sampled frames.

    Per-frame tuples all have `len(frames_pts_s)` items, `FRAME_COUNT` of them (fewer in a video with
    fewer frames). A frame's index is its place among them.
    """

    masklet_id: str
    video_id: str
    entity_id: str
    frames_pts_s: tuple[float, ...]  # presentation time of each sampled frame
    masks: tuple[Rle | None, ...]  # None where the mask is empty: the entity is not visible
    boxes_px: tuple[Box | None, ...]  # tight boxes of `masks`
    areas_px: tuple[int, ...]  # 0 where not visible
    detector_score: float  # of the box that started the track, 0..1
    assignment_margin: float | None  # score of this track minus the next best one; None without a rival
    start_frame_index: int  # sampled frame on which tracking began
    forward_backward_iou: float | None  # mean mask IoU of the track with its reverse re-tracking, 0..1
    # How good the track is, measured at birth; None where there was nothing to measure it by.
    assignment_score: float | None = None  # mean match of the track with the entity's words, 0..1
    redetection_share: float | None = None  # of the frames looked at with the mask: a box of its noun agrees
    area_jump: float | None = None  # largest ratio of mask areas on neighbouring visible frames, >= 1
    position_jump: float | None = None  # largest step between these, in diagonals of the mask's box
    loss_sharpness: float | None = None  # of the picture where the mask vanishes, over the video's median
    # Lowest likeness of what the mask covers on a frame with what it covers on all of them, 0..1.
    appearance_similarity: float | None = None
    # Share of the mask that has the colour which the entity is named by, on its worst frames, 0..1.
    colour_agreement: float | None = None
    colour_margin: float | None = None  # mean share of that colour minus that of the strongest other, -1..1
    # Share of the frames looked at with a patch of that colour and about that size on no masklet, 0..1.
    alike_share: float | None = None
    strewn_patches: float | None = None  # likewise of any colour, mean number on a frame


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One thing that an entity does over `[start_s, end_s)`, as a fact and not as words."""

    kind: str  # one of `strefer_core.stages.transcript.ACTION_KINDS`
    start_s: float
    end_s: float
    direction: str | None = None  # "left", "right", "up", "down"
    other_entity_id: str | None = None  # the second party of "approach", "follow", "occlude"


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscriptSegment:
    """What one entity does in one clip; `text` is None where it is not visible."""

    segment_id: str
    video_id: str
    clip_id: str
    entity_id: str
    start_s: float
    end_s: float
    text: str | None
    actions: tuple[Action, ...] = ()  # in order of start; empty where a backend only writes text
    samples: tuple[str | None, ...] = ()  # all that a model said, where it was asked several times
    agreement: float | None = None  # share of `samples` that tell the same as `text`, 0..1; None: asked once


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One turn; may hold `<region>`, `<start_time>`, `<end_time>` placeholders, never `<image>`."""

    role: Literal["human", "gpt"]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One instruction-response pair with its references and what it was made from."""

    instruction_id: str
    video_id: str
    group: str  # "G1".."G8"
    task_type: str  # a row of `strefer_core/stages/task_types.json`
    turns: tuple[Turn, ...]  # human, gpt, human, gpt, ...
    region_entity_ids: tuple[str, ...] = ()  # one per `<region>` over all turns, in order
    start_s: float | None = None  # value of `<start_time>`
    end_s: float | None = None  # value of `<end_time>`
    is_negative: bool = False  # asks about something false; the answer says so
    template_id: str = ""
    source_ids: tuple[str, ...] = ()  # entity, clip and segment ids that it was made from
    # Pairs of one video with one key are asked in the same words and answered differently: kept or left out
    # together, so that text alone does not answer them. "": the pair stands alone.
    set_key: str = ""
    # Hash of what it says, when, and the masks that it shows: same after a re-run that makes the same pair,
    # whose id is another. What a person decides about a pair is kept under it. "": not known yet.
    pair_key: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """One finding of one check on one object; stored for every object, also where it passes."""

    object_id: str  # entity, masklet, segment or instruction id
    object_kind: Literal["entity", "masklet", "transcript_segment", "instruction"]
    check: str
    value: float
    threshold: float
    severity: Severity  # "fail" quarantines what was made from the object


@dataclass(frozen=True, kw_only=True, slots=True)
class VideosResult:
    video: Video


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipsResult:
    clips: tuple[Clip, ...]  # in order, no gap, no overlap, covering [0, duration_s)
    # How the ground moves in the picture from each sampled frame to the next (one less than there are
    # frames); None across a cut and where it cannot be told. Empty where nobody measured it.
    camera: tuple[Affine | None, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class EntitiesResult:
    entities: tuple[Entity, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskletsResult:
    masklets: tuple[Masklet, ...]  # at most one per entity; an entity without a track has none


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscriptResult:
    segments: tuple[TranscriptSegment, ...]  # one per clip and entity with a masklet


@dataclass(frozen=True, kw_only=True, slots=True)
class InstructionsResult:
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityResult:
    flags: tuple[Flag, ...]
    accepted_ids: tuple[str, ...]  # instruction ids without a "fail" on themselves or on any source
    quarantined_ids: tuple[str, ...]


Result = (
    VideosResult
    | ClipsResult
    | EntitiesResult
    | MaskletsResult
    | TranscriptResult
    | InstructionsResult
    | QualityResult
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRun:
    """The one state of one video in one stage at one fingerprint: a row of `stage_runs`."""

    video_id: str
    stage: str
    fingerprint: str
    status: Status
    result_key: str | None = None  # object key of the result document; set where `status` is "done"
    reason: str | None = None  # why filtered, or the message of the failure
    error_class: str | None = None  # set where `status` is "failed"
    is_retryable: bool = False  # failed, and asked for again it is tried again; a bad input is not
    attempts: int = 1
    compute_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCall:
    """One call of a served model: what it cost and what became of its reply. A row of `model_calls`."""

    call_id: str  # random, 32 hex digits: written twice, it is one row
    question: str  # content hash of all that was asked, 16 hex digits; the same for every try and sample
    prompt: str  # name and version of its prompt file: "recognize.v1"
    server: Literal["vlm", "llm"]
    model: str  # the server's name for it
    sample: int  # which reply to this question it is, from 0
    outcome: Outcome
    reason: str | None = None  # why not used, or what was dropped of it
    raw_text: str | None = None  # the beginning of a reply that was not used whole
    elapsed_s: float = 0.0
    prompt_tokens: int | None = None  # None: the server did not say
    completion_tokens: int | None = None
    cost: float | None = None  # in the currency of the settings' prices; None: tokens or prices unknown
