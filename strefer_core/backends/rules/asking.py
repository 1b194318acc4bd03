"""From facts and templates to instructions: choice of words, regions in order, times, sources.

Pairs of one set are asked in the very same words: one template, one way to say what is done, one way to
point. Only regions, times and, where nothing else can differ, names tell them apart.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Any, Literal

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.facts import Window
from strefer_core.backends.rules.grammar import Voice, capital
from strefer_core.backends.rules.scene import Scene
from strefer_core.stages.task_table import TaskRow

_REGION = re.compile(r"<region:([^>]+)>")
_MARKERS = ("the {}", "the {}", "{}")  # ways to write a region, by how often they are used
_VARIANTS = 12  # counted round over the ways to say an action: a multiple of 2, 3 and 4

Pointing = Literal["name", "region", "pronoun", "general"]


@cache
def templates(task_type: str) -> dict[str, Any]:
    """The templates of one task type: form -> {"questions": [...], "answers": [...], ...}."""
    folder = files("strefer_core.stages") / "templates"
    forms: dict[str, Any] = json.loads((folder / f"{task_type}.json").read_text("utf-8"))["forms"]
    return forms


@cache
def questions(task_type: str, form: str) -> tuple[str, ...]:
    """The questions of a form; some are those of another form, named as "task_type.form"."""
    listed = templates(task_type)[form]["questions"]
    return questions(*listed.split(".")) if isinstance(listed, str) else tuple(listed)


@cache
def leads() -> tuple[str, ...]:
    """Sentences that point at a region before the question itself."""
    folder = files("strefer_core.stages") / "templates"
    return tuple(json.loads((folder / "leads.json").read_text("utf-8"))["leads"])


def region(entity_id: str) -> str:
    """A marker that becomes `<region>` and an entity id of the instruction."""
    return f"<region:{entity_id}>"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What one pair is about, before it has words.

    `actions` gives fields per key `k`: `{k}` (base form), `{k_ing}`, `{k_Ing}` and, agreeing with a voice,
    `{s_k}`, `{n_k}`, `{p_k}`; `texts` are fields as they are, `{Key}` with a capital.
    """

    form: str  # of the task type
    entity: dm.Entity  # whom it is about
    actions: Mapping[str, dm.Action] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    answers: str = "answers"  # which of the form's lists of answers holds
    window: Window | None = None  # of `<start_time>` and `<end_time>`
    sources: Sequence[str] = ()  # ids that the facts came from, besides the entity's own
    is_negative: bool = False
    row: TaskRow | None = None  # where it is not the asker's own


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The words that all pairs of a set share."""

    place: int  # of the question among its form's
    question: str
    pointing: Pointing
    marker: str  # around a region
    lead: str  # "" where the question itself points
    variant: int  # way to say actions


@dataclass(frozen=True)
class Asker:
    """Asks questions of one row of the task table about one scene."""

    row: TaskRow
    scene: Scene
    rng: random.Random
    _numbers: count[int] = field(default_factory=count)

    def one(self, case: Case, *, by_mask: bool | None = None) -> dm.Instruction:
        """One pair that stands alone; its id is left empty for the stage to give."""
        return self._pair(case, self._wording([case], by_mask))

    def together(self, cases: Sequence[Case], *, by_mask: bool | None = None) -> list[dm.Instruction]:
        """A set: the same words asked of each case.

        Args:
            cases: of forms that share their questions.
            by_mask: whether whom they are about is pointed at; by default as the row says.
        """
        wording = self._wording(cases, by_mask)
        key = f"{self.row.group}.{cases[0].form}.{next(self._numbers)}"
        return [replace(self._pair(case, wording), set_key=key) for case in cases]

    def say(self, action: dm.Action, variant: int = 0) -> grammar.Phrase:
        """The action in words, others by name."""
        return grammar.phrase(action, self.scene.names.get(action.other_entity_id or "", ""), variant)

    def variant(self) -> int:
        """A way to say actions, drawn."""
        return self.rng.randrange(_VARIANTS)

    def _wording(self, cases: Sequence[Case], by_mask: bool | None) -> Wording:
        row, form = self._row(cases[0]), cases[0].form
        listed = questions(row.task_type, form)
        place = self.rng.randrange(len(listed))
        pointing = self._pointing(cases, row.mask == "yes" if by_mask is None else by_mask)
        needs_lead = pointing in ("pronoun", "general") and "{s" in listed[place].lower()
        return Wording(
            place=place,
            question=listed[place],
            pointing=pointing,
            marker=self.rng.choice(_MARKERS),
            lead=self.rng.choice(leads()) if needs_lead else "",
            variant=self.variant(),
        )

    def _row(self, case: Case) -> TaskRow:
        return case.row or self.row

    def _pointing(self, cases: Sequence[Case], by_mask: bool) -> Pointing:
        """A way to point that comes out the same for all of them."""
        if not by_mask:
            return "name"
        ways: list[Pointing] = ["region"]
        if len({grammar.pronoun(case.entity) for case in cases}) == 1:
            ways.append("pronoun")
        if len({grammar.general(case.entity) for case in cases}) == 1:
            ways.append("general")
        return self.rng.choice(ways)

    def _pair(self, case: Case, wording: Wording) -> dm.Instruction:
        row = self._row(case)
        answers = templates(row.task_type)[case.form][case.answers]
        place = self.rng.randrange(len(answers))
        question = wording.question.format_map(self._asked(case, wording))
        if wording.lead:
            marker = wording.marker.format(region(case.entity.entity_id))
            question = f"{capital(wording.lead.format(region=marker))}\n{question}"
        said = self._slots(case, grammar.named(case.entity), wording, by_mask=False)
        return self._instruction(
            case, question, answers[place].format_map(said),
            f"{row.task_type}.{case.form}.{wording.place}.{case.answers}.{place}",
        )  # fmt: skip

    def _asked(self, case: Case, wording: Wording) -> dict[str, str]:
        by_mask = wording.pointing != "name"
        marker = wording.marker.format(region(case.entity.entity_id))
        voices = {
            "name": grammar.named(case.entity),
            "region": Voice(marker, marker, False),
            "pronoun": grammar.pronoun(case.entity),
            "general": grammar.general(case.entity),
        }
        return self._slots(case, voices[wording.pointing], wording, by_mask=by_mask)

    def _slots(self, case: Case, voice: Voice, wording: Wording, *, by_mask: bool) -> dict[str, str]:
        voices = {"s": voice, "n": grammar.named(case.entity), "p": grammar.pronoun(case.entity)}
        slots: dict[str, str] = {}
        for prefix, item in voices.items():
            slots |= item.slots(prefix)
        for key, action in case.actions.items():
            phrase = grammar.phrase(action, self._other(action, wording, by_mask), wording.variant)
            slots |= {key: phrase.base, f"{key}_ing": phrase.participle}
            slots[f"{key}_Ing"] = capital(phrase.participle)
            slots |= {f"{prefix}_{key}": phrase.finite(item.is_plural) for prefix, item in voices.items()}
        for key, text in case.texts.items():
            slots |= {key: text, capital(key): capital(text)}
        return slots

    def _other(self, action: dm.Action, wording: Wording, by_mask: bool) -> str:
        other_id = action.other_entity_id or ""
        if by_mask and other_id in self.scene.by_id:
            return wording.marker.format(region(other_id))
        return self.scene.names.get(other_id, "")

    def _instruction(self, case: Case, question: str, answer: str, template_id: str) -> dm.Instruction:
        row = self._row(case)
        regions = tuple(_REGION.findall(question) + _REGION.findall(answer))
        turns = (
            dm.Turn(role="human", text=_REGION.sub("<region>", question)),
            dm.Turn(role="gpt", text=_REGION.sub("<region>", answer)),
        )
        has_time = any("_time>" in turn.text for turn in turns)
        start_s, end_s = case.window if case.window and has_time else (None, None)
        own = [case.entity.entity_id] if case.entity.entity_id in self.scene.names else []
        return dm.Instruction(
            instruction_id="",
            video_id=self.scene.video.video_id,
            group=row.group,
            task_type=row.task_type,
            turns=turns,
            region_entity_ids=regions,
            start_s=start_s,
            end_s=end_s,
            is_negative=case.is_negative,
            template_id=template_id,
            source_ids=tuple(dict.fromkeys((*own, *regions, *case.sources))),
        )
