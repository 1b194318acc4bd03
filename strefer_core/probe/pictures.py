"""Pictures of a cascade's worst cases: truth above prediction, and in words what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from strefer_core import data_model as dm
from strefer_core.masks import decode, rle_iou
from strefer_core.overlay import Colour, Picture, entity_colour, paint
from strefer_core.probe.questions import Question
from strefer_core.probe.running import Answer, Probed
from strefer_core.probe.scoring import EntityFigures, Masks, Score
from strefer_core.video_io import decode_frames, index_video, sample_positions

_FRAMES = 8
_SIDE_PX = 240
_LINE_PX = 20
_GAP_PX = 4
_DARK, _LIGHT = (24, 24, 24), (235, 235, 235)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One name that a cascade did badly on."""

    video: Probed
    cascade: str
    place: int  # of the question
    kind: str  # "missed", "on another", ...; worst cases are drawn from each kind in turn
    what: str  # the same in full
    j: float
    f: float

    @property
    def question(self) -> Question:
        return self.answer.questions[self.place]

    @property
    def answer(self) -> Answer:
        return self.video.answers[self.cascade]

    @property
    def truth(self) -> Masks:
        """All None for a name that is absent."""
        count = len(next(iter(self.answer.truths.values())))
        return self.answer.truths.get(self.question.true_id or "", [None] * count)

    @property
    def predicted(self) -> Masks:
        return self.answer.masks.get(self.place, [None] * len(self.truth))


def draw_worst(results: Sequence[Probed], cascades: Sequence[str], count: int, out_dir: Path) -> list[Path]:
    """Write `<cascade>-<nn>-<video>.png` for up to `count` worst cases of each cascade; returns the files.

    Needs results with answers. Makes the folder; files of the same names are replaced.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for cascade in cascades:
        for number, case in enumerate(worst_cases(results, cascade, count)):
            path = out_dir / f"{cascade}-{number:02d}-{Path(case.video.name).stem}.png"
            Image.fromarray(draw(case)).save(path)
            paths.append(path)
    return paths


def worst_cases(results: Sequence[Probed], cascade: str, count: int) -> list[Case]:
    """Lowest J&F first, one of each kind in turn: the most frequent fault must not hide the others."""
    cases = [case for one in results if one.failure is None for case in _cases(one, cascade)]
    cases.sort(key=lambda case: (case.j + case.f, case.video.name, case.place))
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(case.kind, []).append(case)
    return [case for turn in zip_longest(*kinds.values()) for case in turn if case][:count]


def _cases(video: Probed, cascade: str) -> Iterator[Case]:
    score: Score = video.scores[0][cascade]
    answer = video.answers[cascade]
    present = [place for place, one in enumerate(answer.questions) if one.kind == "present"]
    for place, figures in zip(present, score.entities, strict=True):
        kind, what = _fault(figures, answer)
        yield Case(video=video, cascade=cascade, place=place, kind=kind, what=what, j=figures.j, f=figures.f)
    for place in answer.masks:
        if answer.questions[place].kind == "absent":
            what = "in no frame of this video, yet it was given a masklet"
            yield Case(video=video, cascade=cascade, place=place, kind="absent", what=what, j=0, f=0)


def _fault(one: EntityFigures, answer: Answer) -> tuple[str, str]:
    """What went wrong with an entity: its kind, and in words."""
    words = {question.true_id: question.entity.expression for question in answer.questions}
    if not one.has_masklet:
        return "missed", f"no masklet, though visible on {one.visible_frames} frames"
    if one.lies_on is None:
        return "on nothing", "the masklet lies on no true entity"
    if not one.is_right:
        return "on another", f"the masklet lies on {words.get(one.lies_on, one.lies_on)!r}"
    if one.identity_switches:
        return "switched", f"the masklet changes what it lies on {one.identity_switches} times"
    if one.fragments > 1:
        return "in pieces", f"covered in {one.fragments} stretches"
    return "loose", f"the right entity; visible or not is right on {one.presence_accuracy:.0%} of frames"


def draw(case: Case) -> Picture:
    """(H, W, 3) uint8 RGB: two lines of words, truth above prediction on some frames."""
    assert case.video.path is not None
    index = index_video(case.video.path)
    frames = _telling_frames(case)
    positions = sample_positions(index.frame_count)[frames]
    images = decode_frames(case.video.path, positions, index, max_side_px=_SIDE_PX)
    colour = entity_colour(case.question.entity.index)
    rows = []
    for masks in (case.truth, case.predicted):
        shown = [_shown(image, masks[frame], colour) for image, frame in zip(images, frames, strict=True)]
        rows.append(np.hstack([_framed(picture) for picture in shown]))
    width = rows[0].shape[1]
    notes = [
        f"{index.times_s[position]:.2f} s, IoU {rle_iou(case.truth[frame], case.predicted[frame]):.2f}"
        for frame, position in zip(frames, positions, strict=True)
    ]
    head = [
        f"{case.question.entity.expression!r} by {case.cascade} in {case.video.name}"
        f" ({', '.join(case.video.knobs) or 'no knobs'})",
        f"J {case.j:.2f}, F {case.f:.2f}: {case.what}",
    ]
    return np.vstack(
        [
            *(_line([text], width) for text in head),
            _line(["truth"], width),
            rows[0],
            _line(["prediction"], width),
            rows[1],
            _line(notes, width),
        ]
    )


def _shown(image: Picture, rle: dm.Rle | None, colour: Colour) -> Picture:
    """One mask that stands out among things of any colour: all else is dimmed."""
    dimmed = (0.3 * image + 0.3 * image.mean(axis=2, keepdims=True)).astype(np.uint8)
    return paint(dimmed, decode(rle), colour) if rle else dimmed


def _telling_frames(case: Case) -> list[int]:
    """Some sampled frames, evenly among those on which truth or prediction has a mask."""
    either = [t for t, pair in enumerate(zip(case.truth, case.predicted, strict=True)) if any(pair)]
    places = np.linspace(0, len(either) - 1, min(_FRAMES, len(either))).round().astype(int)
    return [either[place] for place in places]


def _framed(picture: Picture) -> Picture:
    side = ((_GAP_PX // 2, _GAP_PX // 2), (_GAP_PX // 2, _GAP_PX // 2), (0, 0))
    return np.pad(picture, side, constant_values=_DARK[0])


def _line(texts: Sequence[str], width_px: int) -> Picture:
    """Texts side by side, each at the beginning of its share of the width."""
    canvas = Image.new("RGB", (width_px, _LINE_PX), _DARK)
    font = ImageFont.load_default(size=13)
    for number, text in enumerate(texts):
        ImageDraw.Draw(canvas).text((6 + number * width_px // len(texts), 2), text, fill=_LIGHT, font=font)
    return np.asarray(canvas)
