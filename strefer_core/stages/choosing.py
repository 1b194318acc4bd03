"""Which of the offered pairs a video keeps: groups balanced, negatives in their share, no question twice.

Pairs of one set (`Instruction.set_key`) are kept or left out together: they are asked in the same words and
answered differently, so that words alone answer none of them.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from strefer_core import data_model as dm

Unit = tuple[dm.Instruction, ...]  # a set, or a pair that stands alone
SMALL_SET = 12  # up to this many pairs, having them matters more than the share of negatives
_LOOKS = 12  # pairs of one form that are compared before one is taken


def choose(
    offered: Sequence[dm.Instruction], at_most: int, negative_share: float, seed: str
) -> list[dm.Instruction]:
    """Choose as many pairs as the shares allow.

    Args:
        offered: candidates in any order.
        at_most: upper bound of the answer's length.
        negative_share: share of pairs that ask about something false, met to within one set. As every such
            pair goes with a true one, more than a half cannot be had where all stand in sets.
        seed: same seed, same choice.

    Returns:
        Pairs in order of group and task type, sets whole. Fewer than `at_most` where one kind runs out; where
        negatives do, `SMALL_SET` at most.
    """
    rng = random.Random(f"{seed} choose")  # noqa: S311  (no secret)
    units = units_of(offered)
    shuffled = rng.sample(units, len(units))
    pools = {kind: [unit for unit in shuffled if _kind(unit) == kind] for kind in ("closed", "false", "true")}
    total, closed, false = _quotas(pools, at_most, negative_share)
    choice = _Choice()
    choice.take(pools["false"], units=false, pairs=total)
    choice.take(pools["closed"], units=closed, pairs=total)
    choice.take(pools["true"], units=total, pairs=total)
    return sorted(choice.pairs, key=lambda item: (item.group, item.task_type))


def units_of(offered: Sequence[dm.Instruction]) -> list[Unit]:
    """Sets and lone pairs. No question comes twice: what repeats one is left out, a set as a whole."""
    sets: dict[str, list[dm.Instruction]] = defaultdict(list)
    for number, item in enumerate(offered):
        sets[item.set_key or f"alone {number}"].append(item)
    asked: set[tuple[object, ...]] = set()
    units = []
    for unit in sorted(sets.values(), key=lambda unit: not unit[0].set_key):  # sets first
        keys = {question_key(item) for item in unit}
        if len(keys) == len(unit) and not keys & asked:
            asked |= keys
            units.append(tuple(unit))
    return units


def question_key(item: dm.Instruction) -> tuple[object, ...]:
    """What makes two questions the same: words, regions and times."""
    asked = tuple(turn.text for turn in item.turns if turn.role == "human")
    return asked, item.region_entity_ids, item.start_s, item.end_s


def kind_of(item: dm.Instruction) -> str:
    """ "yes", "no", "false" (another negative) or "other"."""
    first_word = item.turns[-1].text.split(maxsplit=1)[0].rstrip(".,").lower() if item.turns else ""
    if item.task_type == "verify" and first_word in ("yes", "no"):
        return first_word
    return "false" if item.is_negative else "other"


def _kind(unit: Unit) -> str:
    """ "closed": holds a no; "false": holds another negative; "true": all else."""
    kinds = {kind_of(item) for item in unit if item.is_negative}
    return "true" if not kinds else "closed" if "no" in kinds else "false"


def _quotas(pools: dict[str, list[Unit]], at_most: int, negative_share: float) -> tuple[int, int, int]:
    """(pairs, units with a no, units with another negative) of the largest choice that keeps the share.

    Half of the negatives say no; where one kind runs out the other stands in. A small set may go without.
    """
    plain = sum(map(len, pools["true"]))
    for total in range(at_most, 0, -1):
        negatives = round(negative_share * total)
        closed = min(len(pools["closed"]), negatives // 2)
        false = min(len(pools["false"]), negatives - closed)
        closed = min(len(pools["closed"]), negatives - false)
        used = sum(map(len, pools["closed"][:closed])) + sum(map(len, pools["false"][:false]))
        is_shared = closed + false == negatives or total <= SMALL_SET
        if is_shared and used <= total <= used + plain:
            return total, closed, false
    return 0, 0, 0


@dataclass
class _Choice:
    """What has been chosen, and how often each kind of pair is in it."""

    pairs: list[dm.Instruction] = field(default_factory=list)
    counts: Counter[tuple[object, ...]] = field(default_factory=Counter)

    def take(self, pool: Sequence[Unit], *, units: int, pairs: int) -> None:
        """Add up to `units` of the pool, each time of what there is least of, up to `pairs` pairs in all."""
        forms: dict[tuple[object, ...], list[Unit]] = defaultdict(list)
        for unit in pool:
            forms[_form(unit[0])].append(unit)
        while units and forms:
            form = min(forms, key=self._rank)
            unit = self._rarest(forms[form])
            forms[form].remove(unit)
            if not forms[form]:
                del forms[form]
            if len(self.pairs) + len(unit) <= pairs:
                self._add(unit)
                units -= 1

    def _rank(self, form: tuple[object, ...]) -> tuple[int, ...]:
        """How much there is of its group, of its type, of its family, of the form itself."""
        return tuple(self.counts[form[:depth]] for depth in range(1, len(form) + 1))

    def _rarest(self, units: Sequence[Unit]) -> Unit:
        """Of the next few: about the entity, and in the words, that there is least of."""
        return min(
            units[:_LOOKS], key=lambda unit: sum(self.counts[key] for item in unit for key in _marks(item))
        )

    def _add(self, unit: Unit) -> None:
        self.pairs += unit
        for item in unit:
            form = _form(item)
            self.counts.update(form[:depth] for depth in range(1, len(form) + 1))
            self.counts.update(_marks(item))


def _form(item: dm.Instruction) -> tuple[object, ...]:
    """Group, type, family of forms ("absent" of "absent_when"), form."""
    form = item.template_id.split(".")[:2][-1]
    return item.group, item.task_type, form.split("_")[0], form


def _marks(item: dm.Instruction) -> list[tuple[object, ...]]:
    return [("entity", item.group, item.source_ids[:1]), ("template", item.template_id)]
