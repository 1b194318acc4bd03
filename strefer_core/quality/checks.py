"""Every check by name: of what, in which unit, which way is bad, and where its findings begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from strefer_core import data_model as dm
from strefer_core.config import QualityConfig

Kind = Literal["entity", "masklet", "transcript_segment", "instruction"]
Strength = Literal["rule", "sign", "note"]
"""rule: what breaks it is never accepted. sign: evidence that a filter weighs, and a rule where there is no
filter. note: shown and weighed, never decides."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One named check. `is_floor`: values below the threshold are findings; else values above it."""

    object_kind: Kind
    strength: Strength
    is_floor: bool
    threshold: float | str  # its default, or the setting of `QualityConfig` that holds it
    means: str  # the value, with its unit

    def limit(self, config: QualityConfig) -> float:
        """Its threshold under these settings."""
        return float(getattr(config, self.threshold) if isinstance(self.threshold, str) else self.threshold)

    def is_bad(self, value: float, threshold: float) -> bool:
        return value < threshold if self.is_floor else value > threshold

    def severity(self, is_bad: bool, *, has_filter: bool) -> dm.Severity:
        """ "fail" quarantines; "warn" is shown."""
        if not is_bad:
            return "info"
        decides = self.strength == "rule" or (self.strength == "sign" and not has_filter)
        return "fail" if decides else "warn"


def _check(
    kind: Kind, strength: Strength, bad: Literal["<", ">"], threshold: float | str, means: str
) -> Check:
    return Check(object_kind=kind, strength=strength, is_floor=bad == "<", threshold=threshold, means=means)


_ENTITY = {
    "shared_expression": _check("entity", "rule", ">", 0, "other entities that have the same expression"),
    "masklets": _check("entity", "note", "<", 1, "masklets of the entity"),
}
_MASKLET = {
    "visible_frames": _check("masklet", "sign", "<", "min_visible_frames", "sampled frames with a mask"),
    "area_share": _check("masklet", "note", "<", 0.002, "median share of the picture that its masks cover"),
    "fragments": _check("masklet", "note", ">", "max_fragments", "stretches of visible frames"),
    "short_gaps": _check("masklet", "note", ">", 1, "gaps of one or two frames between visible ones"),
    "unexplained_ends": _check(
        "masklet", "note", ">", 1, "losses and finds that neither edge nor cut nor another track explains"
    ),
    "area_jump": _check(
        "masklet", "sign", ">", "max_area_jump", "largest ratio of areas of neighbouring whole masks"
    ),
    "position_jump": _check(
        "masklet", "note", ">", 1, "largest step off an even way between neighbours, in diagonals of its box"
    ),
    "shape_iou": _check("masklet", "note", "<", 0.3, "lowest IoU of neighbouring whole masks, aligned"),
    "twin_share": _check("masklet", "note", ">", 0.5, "share of its frames in the same box as another track"),
    "contact_share": _check(
        "masklet", "note", ">", 0.5, "share of its frames on which a track of its noun touches it"
    ),
    "detector_score": _check("masklet", "note", "<", 0.3, "score of the box that started the track, 0..1"),
    "assignment_score": _check("masklet", "note", "<", 0.5, "mean match with the entity's words, 0..1"),
    "assignment_margin": _check(
        "masklet", "note", "<", "min_assignment_margin", "score minus that of the next best track"
    ),
    "forward_backward_iou": _check(
        "masklet", "sign", "<", "min_forward_backward_iou", "mean IoU with the reverse track, 0..1"
    ),
    "redetection_share": _check(
        "masklet", "note", "<", 0.5, "share of the looks with the mask on which a box of its noun agrees"
    ),
    "loss_sharpness": _check(
        "masklet", "note", "<", 0.5, "sharpness of the picture where it is lost, over the video's median"
    ),
    "appearance_similarity": _check(
        "masklet", "note", "<", 0.5, "lowest likeness of one frame's colours with all frames', 0..1"
    ),
    "colour_agreement": _check(
        "masklet",
        "note",
        "<",
        0.2,
        "share of the mask in the colour of its entity's name, on its worst frames",
    ),
    "colour_margin": _check(
        "masklet", "note", "<", 0, "share of the mask in that colour minus that of the strongest other, -1..1"
    ),
    "alike_share": _check(
        "masklet", "note", ">", 0.3, "share of the looks with a patch of that colour and size on no masklet"
    ),
    "strewn_patches": _check(
        "masklet", "note", ">", 15, "patches of any colour and of its size on no masklet, per frame"
    ),
}
_SEGMENT = {
    "text_without_mask": _check("transcript_segment", "rule", ">", 0, "1: told, but no frame shows it"),
    "mask_without_text": _check("transcript_segment", "note", ">", 0, "share of frames that show it untold"),
    "action_unseen_share": _check(
        "transcript_segment", "note", ">", 0.5, "largest share of an action's frames that do not show it"
    ),
    "direction_agreement": _check(
        "transcript_segment", "note", "<", 0, "lowest cosine of a told direction with the track's way, -1..1"
    ),
    "sample_agreement": _check(
        "transcript_segment", "note", "<", 0.5, "share of repeated samples that tell the same, 0..1"
    ),
}
_INSTRUCTION = {
    "leak": _check("instruction", "rule", ">", 0, "words that a mask-referring question gives away"),
    "format": _check("instruction", "rule", ">", 0, "broken rules of the format"),
    "answer_words": _check("instruction", "rule", "<", 1, "words of the shortest answer"),
    "duplicate": _check("instruction", "rule", ">", 0, "earlier instructions with the same question"),
    "window_frames": _check("instruction", "note", "<", 2, "sampled frames in the interval asked about"),
    "window_hidden_share": _check(
        "instruction", "note", ">", 0.5, "share of these that do not show a thing which it rests on"
    ),
    "border_gap_s": _check(
        "instruction", "note", "<", 0, "seconds from the interval's ends to a thing's coming or going"
    ),
    "untracked": _check("instruction", "note", ">", 0, "things that it rests on without a masklet"),
}
ESTIMATE = "error_estimate"

CHECKS: dict[str, Check] = {
    **_ENTITY,
    **_MASKLET,
    **_SEGMENT,
    **_INSTRUCTION,
    ESTIMATE: _check("instruction", "rule", ">", 1, "chance that the pair is wrong, by the filter, 0..1"),
}
