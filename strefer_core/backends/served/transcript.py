"""The Video Transcriber (arXiv 2509.03501): a Video LLM is shown one track at a time and says what it does.

Facts stay the geometry's (`actions`); the model gives the words. A thing that is not visible in a clip is not
asked about. Where nothing that the model says may be used, the words are those of the rules, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed, Told
from strefer_core.backends.rules import RulesTranscriber, grammar
from strefer_core.backends.served.agreeing import most_agreed
from strefer_core.backends.served.showing import (
    CROPPED_FROM_PX,
    frames_around,
    middle,
    sampled_images,
    show,
    shown_frames,
)
from strefer_core.backends.served.telling import sentence_about
from strefer_core.config import ServedModel, TranscriptConfig
from strefer_core.overlay import Picture
from strefer_core.served.ask import Ask
from strefer_core.served.client import ask_all
from strefer_core.served.pictures import jpegs, mp4

TRANSCRIBE = "transcribe.v1"


class Doing(BaseModel):
    """What the model says; null where the thing does nothing to be seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    does: str | None = Field(max_length=1000)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """One clip and one thing that is visible in it."""

    clip: dm.Clip
    entity: dm.Entity
    masklet: dm.Masklet
    frames: tuple[int, ...]  # to show it on

    @property
    def name(self) -> str:
        return grammar.name(self.entity.expression)

    def sentence(self, text: str) -> str:
        """The model's text in checked words. Raises ValueError where they may not be used."""
        return sentence_about(
            text,
            self.name,
            is_plural=grammar.is_plural(self.entity.noun),
            is_always_seen=all(self.masklet.masks[i] for i in frames_around(self.masklet, self.clip)),
        )

    def told(self, doing: Doing) -> str | None:
        return doing.does and self.sentence(doing.does)

    def check(self, doing: Doing) -> None:
        self.told(doing)


class ServedTranscriber:
    """Implements `backends.interfaces.Transcriber`; asks `config.vlm`."""

    def transcribe(self, seen: Observed, config: TranscriptConfig) -> list[list[Told]]:
        """See there.

        Raises:
            BackendError: the server does not answer, or the masklets are not of this video.
            UnreadableVideo: a frame cannot be decoded.
        """
        told = RulesTranscriber().transcribe(seen, config)
        visible = [(c, m) for c, row in enumerate(told) for m, one in enumerate(row) if one.text is not None]
        places = [_place(seen, *at, config) for at in visible]
        answers = ask_all(_questions(seen, places, config))
        for number, (place, (c, m)) in enumerate(zip(places, visible, strict=True)):
            own = answers[number * config.repeats : (number + 1) * config.repeats]
            told[c][m] = _told(told[c][m], [one for one in own if one is not None], place, config.repeats)
        return told


def _place(seen: Observed, clip_index: int, masklet_index: int, config: TranscriptConfig) -> _Place:
    clip, masklet = seen.clips[clip_index], seen.masklets[masklet_index]
    return _Place(
        clip=clip,
        entity=next(one for one in seen.entities if one.entity_id == masklet.entity_id),
        masklet=masklet,
        frames=tuple(shown_frames(masklet, clip, config.vlm.frames, config.shows)),
    )


def _questions(seen: Observed, places: Sequence[_Place], config: TranscriptConfig) -> list[Ask[Doing]]:
    """Every place's question as often as it is asked, with other seeds each time."""
    frames = sorted({frame for place in places for frame in place.frames})
    count = len(seen.masklets[0].masks) if seen.masklets else 0
    side_px = config.vlm.max_side_px if config.shows == "marked" else CROPPED_FROM_PX
    images = sampled_images(seen.video_path, frames, count, side_px)
    asks = [_question(place, images, config) for place in places]
    return [_again(ask, repeat) for ask in asks for repeat in range(config.repeats)]


def _again(ask: Ask[Doing], repeat: int) -> Ask[Doing]:
    """The same question with seeds that no other repeat and no sample of one has."""
    seed = ask.model.seed + repeat * ask.model.samples
    return replace(ask, model=ask.model.model_copy(update={"seed": seed}))


def _question(place: _Place, images: Mapping[int, Picture], config: TranscriptConfig) -> Ask[Doing]:
    pictures = show(images, place.masklet, place.frames, config.shows)
    times_s = [place.masklet.frames_pts_s[frame] for frame in place.frames]
    model: ServedModel = config.vlm
    is_film = model.sends == "video"
    return Ask(
        server="vlm",
        model=model,
        prompt=TRANSCRIBE,
        reply=Doing,
        fields={"called": place.name, "shown": config.shows, "frames": _frames(place)},
        images=() if is_film else jpegs(pictures, model.max_side_px),
        video=mp4(pictures, model.max_side_px, times_s[-1] - times_s[0]) if is_film else None,
        check=place.check,
    )


def _frames(place: _Place) -> list[JsonValue]:
    """When each picture was taken and where the thing is on it."""
    frames: list[JsonValue] = []
    for frame in place.frames:
        at = middle(place.masklet, frame)
        spot: JsonValue = [round(share, 2) for share in at] if at else None
        frames.append({"time_s": round(place.masklet.frames_pts_s[frame], 2), "middle": spot})
    return frames


def _told(rules: Told, answers: Sequence[Doing], place: _Place, repeats: int) -> Told:
    """The model's words with the rules' facts; the rules' words where the model has none."""
    if not answers:
        return rules
    texts = tuple(place.told(answer) for answer in answers)
    if repeats == 1:
        return replace(rules, text=texts[0] or rules.text)
    agreed = most_agreed(texts, place.name)
    return replace(rules, text=agreed.text or rules.text, samples=texts, agreement=agreed.agreement)
