"""What a probe asks of a cascade: the names of a world video, in an order that gives nothing away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from strefer_core import data_model as dm
from strefer_core.world.truth import AbsentEntity, AmbiguousExpression, TrueEntity, WorldTruth

Kind = Literal["present", "absent", "ambiguous"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One name that is asked for, and what is known of it."""

    entity: dm.Entity
    kind: Kind
    true_id: str | None  # the entity meant; None unless `kind` is "present"


def ask(truth: WorldTruth, positions: Sequence[int], seed: int) -> list[Question]:
    """Questions about one video, shuffled by `seed` and the video's place in its world.

    Entities that are seen on none of the sampled frames (`positions`) are not asked for: nobody could find
    them there, and they are no absent ones either.
    """
    names: list[tuple[Kind, str | None, TrueEntity | AbsentEntity | AmbiguousExpression]] = [
        *(("present", one.entity_id, one) for one in truth.entities if _is_seen(one, positions)),
        *(("absent", None, one) for one in truth.absent),
        *(("ambiguous", None, one) for one in truth.ambiguous),
    ]
    order = np.random.default_rng([seed, truth.seed, truth.index]).permutation(len(names))
    return [_question(truth, index, *names[place]) for index, place in enumerate(order)]


def _is_seen(entity: TrueEntity, positions: Sequence[int]) -> bool:
    return any(entity.masks[position] for position in positions)


def _question(
    truth: WorldTruth,
    index: int,
    kind: Kind,
    true_id: str | None,
    name: TrueEntity | AbsentEntity | AmbiguousExpression,
) -> Question:
    attributes = () if isinstance(name, AmbiguousExpression) else tuple(sorted(name.attributes))
    video_id = truth.video_sha256[:16]
    entity = dm.Entity(
        entity_id=f"{video_id}-{index}",
        video_id=video_id,
        index=index,
        expression=name.expression,
        noun=name.noun,
        generalized_noun=name.generalized_noun,
        attributes=attributes,
    )
    return Question(entity=entity, kind=kind, true_id=true_id)
