"""How often, and how, the truth-driven perception errs: all rates, their defaults and where these come from.

The defaults stand for GroundingDINO-tiny, SAM 2.1-large and RexSeek-3B. Their publications report benchmark
scores, not error rates of single steps, so a default is one of three things, and `Noise.describe` says which:
*measured against* a published figure or *set to match* it (on the six default scenarios of the world),
*bounded by* one, or an *assumption*. World pictures are no photographs: the figures say that the errors are
of a realistic size, not that the models would make them on these videos.
Compare over a range of noise (`Noise.scaled`, `Noise.parse`), not at one point.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

from strefer_core.errors import ConfigError

_GDINO = "GroundingDINO-T on COCO, zero-shot (arXiv 2510.12798, table 2)"
_SAM2 = (
    "assumption, with the other tracker rates set so that tracks of true first-frame boxes have mean J 0.77;"
    " SAM 2.1-L has J&F 0.795 on SA-V test and 0.746 on MOSE (its repository's README)"
)
_REC = (
    "bounded by 3B models on RefCOCOg: F1 0.83 to 0.87 (arXiv 2510.12798, table 5), and 5 % of its labels are"
    " wrong (Ref-L4 paper); lower here, as boxes are given and words are simple. RexSeek-3B's own not at hand"
)


def _rate(default: float, meaning: str, source: str, *, most: float = 1.0, scales: bool = True) -> Any:
    about = {"meaning": meaning, "source": source, "most": most, "scales": scales}
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Error rates of detector, tracker and assigner. Raises ConfigError where one is out of range."""

    miss: float = _rate(
        0.15,
        "chance per frame that a thing in plain view gets no box; more where it is small, hidden or blurred",
        f"bounded by {_GDINO}: 37 % of COCO's things, many of them small, have no box at IoU 0.5",
    )
    jitter: float = _rate(
        0.03,
        "standard deviation of each side of a box, as a share of the box",
        f"measured against {_GDINO}: recall over IoU 0.5 to 0.95 is 0.87 of that at 0.5 (here 0.87); at 0.95"
        " alone it does not fit: 0.33 there, 0.10 here, 0.02 would fit that and miss the other",
        most=0.5,
    )
    duplicate: float = _rate(
        0.08, "chance per box of a second, shifted one of the same thing", "assumption: DETR-like, no NMS"
    )
    spurious: float = _rate(
        0.5,
        "expected boxes per frame on nothing; half of them stand in one spot of the place",
        f"set to match {_GDINO}: precision 0.78 at score 0.37 and IoU 0.5 (here 0.78)",
        most=4.0,
    )
    wrong_noun: float = _rate(
        0.03, "chance per box that another of the asked nouns gets its score", "assumption"
    )
    merged: float = _rate(
        0.05,
        "chance per box that a second noun scores high as well",
        "assumption: GroundingDINO issues 63, 85 and 421 report merged labels, none how many",
    )
    loss: float = _rate(
        0.01, "chance per step that a track loses a thing in plain view; more where it is hard to see", _SAM2
    )
    blur_loss: float = _rate(
        0.3, "chance per step that it loses a thing that smears over its own size", "assumption"
    )
    recover: float = _rate(
        0.3, "chance per step that a track lost in view finds its thing again", "assumption", scales=False
    )
    reentry: float = _rate(
        0.2, "chance that a track does not resume its thing after one second away, or after a cut", _SAM2
    )
    switch: float = _rate(
        0.15,
        "chance that a track jumps to a look-alike that its thing meets, or that shows up instead",
        _SAM2,
    )
    drift: float = _rate(
        0.005, "chance per step that a mask begins to slide off its thing, for good", "assumption"
    )
    edge: float = _rate(
        0.08,
        "mean of 1 - J of a mask on the right thing, all from its outline",
        "bounded by J&F above 0.9 of such models on DAVIS, where losses are rare (arXiv 2508.05630)",
        most=0.5,
    )
    assign: float = _rate(
        0.05,
        "chance per frame and expression that its thing and its nearest rival change places; twice the tries"
        " between look-alikes",
        _REC,
    )
    assign_persistent: float = _rate(
        0.03, "chance per expression that the two change places on all frames of the video", _REC
    )
    false_accept: float = _rate(
        0.3,
        "chance per frame that words whose thing is not in view fit the most similar one that is",
        "assumption: HumanRef (arXiv 2503.08507) has a rejection score because models fail at it",
    )
    doubt: float = _rate(
        1.0,
        "how far scores are from the ideal 0 and 1: 1 is 0.85 and 0.4 for true and false boxes",
        "assumption",
    )
    shared: float = _rate(
        0.5,
        "share of a track's hard moments, and of its outline, that all tracks of the thing have in common",
        "assumption: 0 would make further anchors too good, 1 useless",
        scales=False,
    )
    streak: float = _rate(
        0.5,
        "share of the one-second stretches in which all frames share their misses and mix-ups",
        "assumption: neighbouring frames look alike, so models repeat themselves",
        scales=False,
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            value, most = getattr(self, one.name), one.metadata["most"]
            if not 0 <= value <= most:
                raise ConfigError(f"noise {one.name} is {value}, must lie in 0..{most:g}")

    @classmethod
    def none(cls) -> Noise:
        """No error of any kind: boxes, tracks and matches are the truth."""
        return cls(**{one.name: 0.0 for one in fields(cls) if one.metadata["scales"]})

    @classmethod
    def parse(cls, text: str) -> Noise:
        """Read `miss=0.2,switch=0.05`: the named rates, the others at their defaults.

        A first item sets those not named: `none` to no error (`none,miss=0.2`), `x1.5` to one and a half
        times the defaults, as `scaled`. An empty text is the defaults.

        Raises:
            ConfigError: an unknown name, no number, named twice, or out of range.
        """
        items = [item.strip() for item in text.split(",") if item.strip()]
        base = _base(items[0]) if items else None
        values: dict[str, float] = {}
        for item in items[1:] if base else items:
            name, value = _read(item)
            if name in values:
                raise ConfigError(f"noise {name} is given twice")
            values[name] = value
        return replace(base or cls(), **values)

    def scaled(self, factor: float) -> Noise:
        """All error rates times a factor, each capped at its most; shares and `recover` stay.

        Raises:
            ConfigError: a negative factor.
        """
        if not factor >= 0:
            raise ConfigError(f"noise cannot be scaled by {factor}")
        scaling = [one for one in fields(self) if one.metadata["scales"]]
        return replace(
            self, **{one.name: min(getattr(self, one.name) * factor, one.metadata["most"]) for one in scaling}
        )

    def describe(self) -> list[tuple[str, float, str, str]]:
        """(name, value, meaning, source of the default) per rate."""
        return [
            (one.name, getattr(self, one.name), one.metadata["meaning"], one.metadata["source"])
            for one in fields(self)
        ]


def _base(item: str) -> Noise | None:
    """What a first item sets all rates to; None where it is one of them."""
    if item == "none":
        return Noise.none()
    factor = re.fullmatch(r"x(\d+(?:\.\d+)?)", item)
    return Noise().scaled(float(factor[1])) if factor else None


def _read(item: str) -> tuple[str, float]:
    known = [one.name for one in fields(Noise)]
    name, _, value = (part.strip() for part in item.partition("="))
    if name not in known:
        raise ConfigError(f"there is no noise rate {name!r}; known: {', '.join(known)}")
    try:
        return name, float(value)
    except ValueError:
        raise ConfigError(f"noise {item!r} is not NAME=NUMBER") from None
