"""Entity Recognizer and Referring Parser (arXiv 2509.03501): a Video LLM describes, an LLM lists.

What the first one wrote is only data to the second one, and what the second one lists meets `naming`.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from strefer_core.backends.interfaces import EntityDescription, Footage
from strefer_core.backends.served.naming import MAX_LISTED, Named, name_entities
from strefer_core.config import EntitiesConfig, ServedModel
from strefer_core.errors import UnusableReply
from strefer_core.served.ask import Ask, M
from strefer_core.served.client import ask_all
from strefer_core.served.pictures import jpegs, mp4
from strefer_core.served.words import refuse_refusals, require_english, words

RECOGNIZE, PARSE = "recognize.v1", "parse.v1"

_MAX_WORDS = 400  # of the description; it is asked for at most 200


class Description(BaseModel):
    """What the recogniser writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paragraph: str = Field(min_length=1, max_length=8000)


class Listing(BaseModel):
    """What the parser makes of it; empty where nothing is active."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entities: list[Named] = Field(max_length=MAX_LISTED)


class ServedEntities:
    """EntityRecognizer (see `backends.interfaces`) that asks `config.recognizer` and `config.parser`."""

    def recognize(self, footage: Footage, config: EntitiesConfig) -> list[EntityDescription]:
        """Active things in checked words, at most `config.max_entities`.

        Raises:
            UnusableReply: a model gave nothing that passes the checks.
            BackendError: a server does not answer.
        """
        paragraph = describe(footage, config.recognizer)
        return list_entities(paragraph, config)


def describe(footage: Footage, model: ServedModel) -> str:
    """A paragraph that names everything active in the video."""
    shown = _shown(len(footage.sampled), model.frames)
    places = footage.sampled[shown]
    times_s = footage.pts_s[places]
    images = footage.images[places]
    is_film = model.sends == "video"
    ask = Ask(
        server="vlm",
        model=model,
        prompt=RECOGNIZE,
        reply=Description,
        fields={"frame_times_s": [round(float(time), 2) for time in times_s]},
        images=() if is_film else jpegs(images, model.max_side_px),
        video=mp4(images, model.max_side_px, float(times_s[-1] - times_s[0])) if is_film else None,
        check=_is_description,
    )
    return " ".join(_answer(ask, model).paragraph.split())


def list_entities(paragraph: str, config: EntitiesConfig) -> list[EntityDescription]:
    """The entities that a description names, in words that pass every check."""

    def check(listing: Listing) -> list[str]:
        naming = name_entities(listing.entities, paragraph, config.max_entities)
        if listing.entities and not naming.kept:
            raise ValueError(f"no entity can be used: {'; '.join(naming.left_out)}")
        return naming.left_out

    ask = Ask(
        server="llm",
        model=config.parser,
        prompt=PARSE,
        reply=Listing,
        fields={"description": paragraph, "most_entities": config.max_entities},
        check=check,
    )
    listing = _answer(ask, config.parser)
    return name_entities(listing.entities, paragraph, config.max_entities).kept


def _answer(ask: Ask[M], model: ServedModel) -> M:
    (answer,) = ask_all([ask])
    if answer is None:
        raise UnusableReply(
            f"{model.model} gave no usable reply to {ask.prompt} in {model.samples} samples; what it wrote "
            "and why that was refused is stored with its calls"
        )
    return answer


def _is_description(answer: Description) -> None:
    """Any English text will do: it is read by the parser alone, and by `naming` as what was told."""
    if len(words(answer.paragraph)) > _MAX_WORDS:
        raise ValueError(f"it is longer than {_MAX_WORDS} words")
    refuse_refusals(answer.paragraph.strip())
    require_english(answer.paragraph)


def _shown(sampled: int, frames: int) -> list[int]:
    """Places among the sampled frames, evenly spaced, first and last among them."""
    return np.unique(np.linspace(0, sampled - 1, min(frames, sampled)).round().astype(int)).tolist()
