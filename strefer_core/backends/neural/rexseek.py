"""RexSeek's contract (arXiv 2503.08507): an expression and candidate boxes in, indexes of boxes out.

The model's own weights need code that is neither in transformers nor a package, and may be used for research
only; so this is its wire format, and an Assigner over whatever speaks it: `Speaks`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Footage, Images, Track
from strefer_core.backends.neural.pictures import sights
from strefer_core.errors import BackendError

MOST_BOXES = 100
"""Of one prompt: so many the model has tokens for."""

_TAG = re.compile(r"<[^<>]*>")
_GROUND = re.compile(r"<ground>(.*?)</ground>\s*<objects>(.*?)</objects>", re.DOTALL)
_OBJECT = re.compile(r"<obj(\d+)>")


class Speaks(Protocol):
    def __call__(self, image: Images, boxes: Sequence[dm.Box], prompt: str) -> str:
        """The model's answer. Each `<objfeat>` of the prompt stands for the features of a box, in order."""


def prompt_of(expression: str, box_count: int) -> str:
    """The text that asks for an expression among boxes 0..box_count-1.

    Raises ValueError where there are no boxes, or more than the model can tell apart.
    """
    if not 1 <= box_count <= MOST_BOXES:
        raise ValueError(f"1 to {MOST_BOXES} boxes can be asked about, not {box_count}")
    objects = "".join(f"<obj{place}><objfeat>" for place in range(box_count))
    words = " ".join(_TAG.sub(" ", expression).split())  # words must not look like the format's own marks
    return (
        f"<image>\n{objects}\nPlease detect {words} in this image. Answer the question with object indexes."
    )


def indexes_of(answer: str, box_count: int) -> list[int]:
    """The boxes that an answer names, in its order, each once; empty where it says that there is none.

    Raises ValueError where the answer is not in the format, or names a box that was not offered.
    """
    found = _GROUND.findall(answer)
    if not found:
        raise ValueError(f"no <ground>...</ground><objects>...</objects> in {answer[:200]!r}")
    for _, objects in found:
        if rest := _OBJECT.sub("", objects).strip(" ,\n"):
            raise ValueError(f"{rest[:100]!r} between <objects> and </objects> is no <objN>")
    indexes = [int(number) for _, objects in found for number in _OBJECT.findall(objects)]
    if wrong := [index for index in indexes if index >= box_count]:
        raise ValueError(f"the answer names box {wrong[0]}, and {box_count} were offered")
    return list(dict.fromkeys(indexes))


def shares(indexes: Sequence[int], count: int) -> NDArray[np.float64]:
    """Scores (count,) of one answer: what is named shares 1, since words that fit several do not decide."""
    scores = np.zeros(count)
    scores[list(indexes)] = 1 / max(len(indexes), 1)
    return scores


class RexSeekAssigner:
    """Assigner (see `backends.interfaces`) over a model that speaks RexSeek's format."""

    def __init__(self, speaks: Speaks) -> None:
        self._speaks = speaks

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        """See `interfaces.Assigner`. One question per frame and entity.

        Raises BackendError where an answer is not in the format.
        """
        scores = np.full((len(frame_indices), len(entities), len(tracks)), np.nan)
        for frame, index in enumerate(frame_indices):
            seen = sights(footage, tracks, [index])
            for row, entity in enumerate(entities if seen else ()):
                boxes = [sight.box for sight in seen]
                answer = self._speaks(seen[0].image, boxes, prompt_of(entity.expression, len(boxes)))
                try:
                    found = shares(indexes_of(answer, len(boxes)), len(boxes))
                except ValueError as error:
                    raise BackendError(f"unusable answer about {entity.expression!r}: {error}") from error
                scores[frame, row, [sight.track for sight in seen]] = found
        return scores
