"""The report of the world's bench: one plain object, the same for people and as JSON. Shares are 0..1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from strefer_core.evaluation.asking import FREE
from strefer_core.evaluation.figures import Figure, mean, points
from strefer_core.evaluation.items import NONE, RIGHT, SHIFTED, SHUFFLED, Condition, Item, WorldBench
from strefer_core.evaluation.results import Result
from strefer_core.evaluation.text_only import Floats, by_text


@dataclass(frozen=True, kw_only=True)
class Row:
    """One group or task type, asked with the right regions and times."""

    accuracy: Figure
    chance: float | None  # mean of 1 / number of options
    text_only: Figure  # the better of two predictors; see `text_only`


@dataclass(frozen=True, kw_only=True)
class FreeRow:
    """Answers in the answerer's own words."""

    items: int
    right: Figure  # of all
    unreadable: int


@dataclass(frozen=True, kw_only=True)
class WorldReport:
    """What an evaluation on the world's bench comes to."""

    options: dict[str, Any]  # of the bench
    videos: int
    items: int
    answered: int  # of the items, with the right regions and times
    yes_share: float | None  # of the answers to yes/no questions, half of which are to be yes
    overall: Row
    groups: dict[str, Row]
    tasks: dict[str, Row]  # "G4 verify"
    # Accuracy with the right masks minus that with other ones, in points, on the items where that changes
    # the right answer; likewise with empty masks, on all items with regions, and with other times.
    mask_effect_points: Figure
    no_mask_effect_points: Figure
    time_effect_points: Figure
    effects: dict[str, dict[str, Figure]]  # by group
    free: FreeRow | None = None  # None: it was not asked so
    free_tasks: dict[str, FreeRow] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def make_report(
    bench: WorldBench, results: Sequence[Result], *, fit: Sequence[Item] | None = None, seed: int = 0
) -> WorldReport:
    """Put results together.

    Args:
        bench: whose items were asked.
        results: of any conditions, in any order.
        fit: items of training videos, which text alone is fitted to; None: cross-validation over the bench.
        seed: of the bootstrap.
    """
    maker = _Maker(bench, results, fit, seed)
    groups = sorted({item.group for item in bench.items})
    tasks = sorted({_task(item) for item in bench.items})
    return WorldReport(
        options=dict(bench.options),
        videos=len({item.video for item in bench.items}),
        items=len(bench.items),
        answered=sum((item.item_id, RIGHT.name) in maker.results for item in bench.items),
        yes_share=maker.yes_share(),
        overall=maker.row(lambda _: True),
        groups={name: maker.row(lambda item, g=name: item.group == g) for name in groups},  # type: ignore[misc]
        tasks={name: maker.row(lambda item, t=name: _task(item) == t) for name in tasks},  # type: ignore[misc]
        mask_effect_points=maker.effect(SHUFFLED),
        no_mask_effect_points=maker.effect(NONE),
        time_effect_points=maker.effect(SHIFTED),
        effects={name: maker.effects(name) for name in groups},
        free=maker.free(lambda _: True),
        free_tasks={
            name: row
            for name in tasks
            if (row := maker.free(lambda item, t=name: _task(item) == t)) is not None  # type: ignore[misc]
        },
    )


def _task(item: Item) -> str:
    return f"{item.group} {item.task_type}"


class _Maker:
    def __init__(
        self, bench: WorldBench, results: Sequence[Result], fit: Sequence[Item] | None, seed: int
    ) -> None:
        self._items = bench.items
        self._seed = seed
        self._text: Mapping[str, Floats] = by_text(bench.items, fit)
        self.results = {one.key: one for one in results}

    def _right(self, item: Item, condition: Condition) -> float | None:
        """Whether the answer is the right one with the right regions and times; an unusable one is not."""
        found = self.results.get((item.item_id, condition.name))
        return None if found is None else float(found.right is True)

    def _mean(self, items: Sequence[Item], values: Sequence[float]) -> Figure:
        return mean(values, [item.video for item in items], self._seed)

    def row(self, wanted: Callable[[Item], bool]) -> Row:
        places = [i for i, item in enumerate(self._items) if wanted(item)]
        known = [
            (item, right)
            for item in (self._items[i] for i in places)
            if (right := self._right(item, RIGHT)) is not None
        ]
        text = max(
            (values[places] for values in self._text.values()),
            key=lambda values: float(np.mean(values)),
            default=None,
        )
        own = [self._items[i] for i in places]
        return Row(
            accuracy=self._mean([item for item, _ in known], [right for _, right in known]),
            chance=float(np.mean([item.chance for item in own])) if own else None,
            text_only=Figure(items=0, value=None) if text is None else self._mean(own, text.tolist()),
        )

    def yes_share(self) -> float | None:
        asked = [item for item in self._items if item.form == "yes_no"]
        found = [one for item in asked if (one := self.results.get((item.item_id, RIGHT.name))) is not None]
        said = [one.chosen == 0 for one in found if one.chosen is not None]
        return sum(said) / len(said) if said else None

    def effects(self, group: str) -> dict[str, Figure]:
        named = {"mask": SHUFFLED, "no_mask": NONE, "time": SHIFTED}
        return {name: self.effect(one, lambda item: item.group == group) for name, one in named.items()}

    def effect(self, condition: Condition, wanted: Callable[[Item], bool] = lambda _: True) -> Figure:
        """Accuracy as it should be minus that in a condition, on the items that were asked in both."""
        pairs = [
            (item, right - changed)
            for item in self._items
            if wanted(item)
            and (changed := self._right(item, condition)) is not None
            and (right := self._right(item, RIGHT)) is not None
        ]
        return points(self._mean([item for item, _ in pairs], [value for _, value in pairs]))

    def free(self, wanted: Callable[[Item], bool]) -> FreeRow | None:
        found = [
            (item, result)
            for item in self._items
            if wanted(item) and (result := self.results.get((item.item_id, FREE))) is not None
        ]
        if not found:
            return None
        return FreeRow(
            items=len(found),
            right=self._mean([item for item, _ in found], [float(one.right is True) for _, one in found]),
            unreadable=sum(one.right is None for _, one in found),
        )
