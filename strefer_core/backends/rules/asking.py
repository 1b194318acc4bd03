"""From a fact and a template to an instruction: choice of words, regions in order, times, sources."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.facts import Thing, Window
from strefer_core.backends.rules.grammar import Voice, capital
from strefer_core.backends.rules.scene import Scene
from strefer_core.stages.task_table import TaskRow

_REGION = re.compile(r"<region:([^>]+)>")


@cache
def templates(task_type: str) -> dict[str, Any]:
    """The templates of one task type: form -> {"questions": [...], "answers": [...], ...}."""
    folder = files("strefer_core.stages") / "templates"
    forms: dict[str, Any] = json.loads((folder / f"{task_type}.json").read_text("utf-8"))["forms"]
    return forms


@cache
def leads() -> tuple[str, ...]:
    folder = files("strefer_core.stages") / "templates"
    return tuple(json.loads((folder / "leads.json").read_text("utf-8"))["leads"])


def region(thing: Thing) -> str:
    """A marker that becomes `<region>` and an entity id of the instruction."""
    return f"the <region:{thing.id}>"


@dataclass(frozen=True, kw_only=True)
class Words:
    """What one question is filled with.

    `actions` gives fields per key `k`: `{k}` (base form), `{k_ing}`, `{k_Ing}` and, agreeing with a voice,
    `{s_k}`, `{n_k}`, `{p_k}`; `texts` are fields as they are.
    """

    thing: Thing
    actions: Mapping[str, dm.Action]
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Asker:
    """Asks questions of one row of the task table about one scene."""

    row: TaskRow
    scene: Scene
    rng: random.Random

    def ask(
        self,
        form: str,
        thing: Thing,
        *,
        actions: Mapping[str, dm.Action] | None = None,
        texts: Mapping[str, str] | None = None,
        answers: str = "answers",
        window: Window | None = None,
        sources: Sequence[str] = (),
        is_negative: bool = False,
        mask: bool | None = None,
    ) -> dm.Instruction:
        """One instruction; its id is left empty for the stage to give.

        Args:
            form: a form of the row's task type.
            thing: what the question is about.
            actions: actions that the template speaks of, by field name.
            texts: other fields. Markers of `region` are allowed.
            answers: which of the form's lists of answers holds.
            window: the interval of `<start_time>` and `<end_time>`.
            sources: ids that the facts came from, besides the thing's own.
            is_negative: whether the question asks about something false.
            mask: whether the thing is pointed at; by default as the row says.
        """
        entry = templates(self.row.task_type)[form]
        q_index = self.rng.randrange(len(entry["questions"]))
        a_index = self.rng.randrange(len(entry[answers]))
        words = Words(thing=thing, actions=actions or {}, texts=texts or {})
        by_mask = self.row.mask == "yes" if mask is None else mask
        question = self._question(entry["questions"][q_index], words, by_mask)
        answer = entry[answers][a_index].format_map(self._slots(words, grammar.named(thing.entity), False))
        return self._instruction(
            question, answer, f"{self.row.task_type}.{form}.{q_index}.{answers}.{a_index}",
            window, (thing.id, *sources), is_negative,
        )  # fmt: skip

    def _question(self, template: str, words: Words, by_mask: bool) -> str:
        if not by_mask:
            return template.format_map(self._slots(words, grammar.named(words.thing.entity), False))
        entity, marker = words.thing.entity, region(words.thing)
        inline = Voice(marker, marker, False)
        voice = self.rng.choice((grammar.pronoun(entity), grammar.general(entity), inline))
        question = template.format_map(self._slots(words, voice, True))
        if voice is inline or "{s" not in template.lower():
            return question
        lead = self.rng.choice(leads()).format(region=marker)
        return f"{lead}\n{question}"

    def _slots(self, words: Words, voice: Voice, by_mask: bool) -> dict[str, str]:
        entity = words.thing.entity
        voices = {"s": voice, "n": grammar.named(entity), "p": grammar.pronoun(entity)}
        slots: dict[str, str] = {}
        for prefix, item in voices.items():
            slots |= item.slots(prefix)
        for key, action in words.actions.items():
            phrase = grammar.phrase(action, self._other(action, by_mask))
            slots |= {key: phrase.base, f"{key}_ing": phrase.participle}
            slots[f"{key}_Ing"] = capital(phrase.participle)
            slots |= {f"{prefix}_{key}": phrase.finite(item.is_plural) for prefix, item in voices.items()}
        for key, text in words.texts.items():
            slots |= {key: text, capital(key): capital(text)}
        return slots

    def _other(self, action: dm.Action, by_mask: bool) -> str:
        other = self.scene.thing(action.other_entity_id) if action.other_entity_id else None
        if other is not None and by_mask:
            return region(other)
        return self.scene.names.get(action.other_entity_id or "", "")

    def _instruction(
        self,
        question: str,
        answer: str,
        template_id: str,
        window: Window | None,
        sources: Sequence[str],
        is_negative: bool,
    ) -> dm.Instruction:
        regions = tuple(_REGION.findall(question) + _REGION.findall(answer))
        turns = (
            dm.Turn(role="human", text=_REGION.sub("<region>", question)),
            dm.Turn(role="gpt", text=_REGION.sub("<region>", answer)),
        )
        has_time = any("_time>" in turn.text for turn in turns)
        start_s, end_s = window if window and has_time else (None, None)
        return dm.Instruction(
            instruction_id="",
            video_id=self.scene.video.video_id,
            group=self.row.group,
            task_type=self.row.task_type,
            turns=turns,
            region_entity_ids=regions,
            start_s=start_s,
            end_s=end_s,
            is_negative=is_negative,
            template_id=template_id,
            source_ids=tuple(dict.fromkeys((*regions, *sources))),
        )
