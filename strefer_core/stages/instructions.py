"""Stage `instructions`: instruction-response pairs from entities, masklets and transcript.

A writer backend offers all pairs that it can stand for; this stage chooses among them: no question
twice, groups balanced, as many yes as no, the wanted share of negatives. Same seed, same choice.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from strefer_core import data_model as dm
from strefer_core.errors import BackendError
from strefer_core.pipeline import StageTask
from strefer_core.stages.task_table import task_row

SMALL_SET = 12  # up to this many pairs, having them matters more than the balance of kinds


def run(task: StageTask) -> dm.InstructionsResult:
    """Write and choose. Raises BackendError where a pair is of no known task type or about another video."""
    entities, clips = task.inputs["entities"], task.inputs["clips"]
    masklets, transcript = task.inputs["masklets"], task.inputs["transcript"]
    assert isinstance(entities, dm.EntitiesResult)
    assert isinstance(clips, dm.ClipsResult)
    assert isinstance(masklets, dm.MaskletsResult)
    assert isinstance(transcript, dm.TranscriptResult)
    seed = f"{task.config.seed} {task.video_id}"
    offered = task.backend.write(
        task.video, clips.clips, entities.entities, masklets.masklets, transcript.segments, seed
    )
    for item in offered:
        if task_row(item.group, item.task_type) is None or item.video_id != task.video_id:
            kind = f"{item.group}/{item.task_type} of video {item.video_id}"
            raise BackendError(f"{item.template_id}: {kind} was not asked for")
    chosen = choose(offered, task.config.max_per_video, task.config.negative_share, seed)
    named = [replace(item, instruction_id=task.new_id("ins", i)) for i, item in enumerate(chosen)]
    return dm.InstructionsResult(instructions=tuple(named))


def choose(
    offered: Sequence[dm.Instruction], at_most: int, negative_share: float, seed: str
) -> list[dm.Instruction]:
    """Choose as many pairs as the shares allow.

    Args:
        offered: candidates in any order.
        at_most: upper bound of the answer's length.
        negative_share: share of pairs that ask about something false, met to within one pair.
        seed: same seed, same choice.

    Returns:
        Pairs in order of group and task type. As many say yes as say no (to within one), where the
        share of negatives leaves room for it. Fewer than `at_most` where one kind runs out.
    """
    rng = random.Random(f"{seed} choose")  # noqa: S311  (no secret)
    pools: dict[str, list[dm.Instruction]] = {"yes": [], "no": [], "false": [], "other": []}
    distinct = _distinct(offered)
    for item in rng.sample(distinct, len(distinct)):
        pools[kind_of(item)].append(item)
    quotas = _quotas({kind: len(pool) for kind, pool in pools.items()}, at_most, negative_share)
    chosen = _balanced(pools, quotas)
    return sorted(chosen, key=lambda item: (item.group, item.task_type))


def kind_of(item: dm.Instruction) -> str:
    """ "yes", "no", "false" (another negative) or "other"."""
    first_word = item.turns[-1].text.split(maxsplit=1)[0].rstrip(".,").lower() if item.turns else ""
    if item.task_type == "verify" and first_word in ("yes", "no"):
        return first_word
    return "false" if item.is_negative else "other"


def question_key(item: dm.Instruction) -> tuple[object, ...]:
    """What makes two questions the same: words, regions and times."""
    return item.turns[0].text, item.region_entity_ids, item.start_s, item.end_s


def _distinct(offered: Sequence[dm.Instruction]) -> list[dm.Instruction]:
    return list({question_key(item): item for item in reversed(offered)}.values())


def _quotas(available: dict[str, int], at_most: int, negative_share: float) -> dict[str, int]:
    """The largest set of counts per kind that keeps the shares and that the pools can fill."""
    for total in range(min(at_most, sum(available.values())), 0, -1):
        for is_strict in (True, False) if total <= SMALL_SET else (True,):
            wanted = _shares(available, total, round(negative_share * total), is_strict)
            if all(wanted[kind] <= available[kind] for kind in wanted):
                return wanted
    return dict.fromkeys(available, 0)


def _shares(available: dict[str, int], total: int, negatives: int, is_strict: bool) -> dict[str, int]:
    """Counts per kind: half of the negatives say no, as many pairs say yes. In a small set that cannot
    be had strictly, one kind of negatives stands in for the other."""
    no = negatives // 2
    if not is_strict:
        no = min(available["no"], max(no, negatives - available["false"]))
    yes = min(no, total - negatives)
    return {"yes": yes, "no": no, "false": negatives - no, "other": total - negatives - yes}


def _balanced(pools: dict[str, list[dm.Instruction]], quotas: dict[str, int]) -> list[dm.Instruction]:
    """Fill the quotas, each time with what the choice has least of: group, then type, form, entity."""
    counts: Counter[tuple[object, ...]] = Counter()
    chosen: list[dm.Instruction] = []
    left = {kind: list(pool) for kind, pool in pools.items()}
    while any(quotas[kind] for kind in quotas):
        open_kinds = [kind for kind in quotas if quotas[kind]]
        candidates = [(kind, item) for kind in open_kinds for item in left[kind]]
        kind, item = min(candidates, key=lambda pair: tuple(counts[key] for key in _keys(pair[1])))
        counts.update(_keys(item))
        left[kind].remove(item)
        quotas[kind] -= 1
        chosen.append(item)
    return chosen


def _keys(item: dm.Instruction) -> list[tuple[object, ...]]:
    form = item.template_id.rsplit(".", 3)[0]
    return [
        ("group", item.group),
        ("type", item.group, item.task_type),
        ("form", item.group, form),
        ("entity", item.group, item.source_ids[:1]),
        ("template", item.template_id),
    ]
