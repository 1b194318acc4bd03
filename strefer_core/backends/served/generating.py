"""Questions about what only a model saw: from the transcript's words, where they say more than facts do.

The LLM is given a name and what is told of it, and writes a question and an answer; `sticking` makes sure
that they say nothing else. What the transcriber's samples do not agree on, or what denies something, is not
asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice, permutations, zip_longest

from pydantic import JsonValue

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.clauses import sentence
from strefer_core.backends.served.agreeing import MIN_AGREEMENT, denies
from strefer_core.backends.served.batches import Item, Items, ask_each
from strefer_core.backends.served.rewording import MARK
from strefer_core.backends.served.sticking import check_answer, check_question
from strefer_core.config import ServedModel
from strefer_core.served.words import content_stems
from strefer_core.stages.leaks import turn_leaks
from strefer_core.stages.task_table import TaskRow, task_rows

ASK_TOLD = "ask_told.v1"

MAX_TOPICS = 32
"""Pairs of one video that a model is asked for."""

_MAX_SENTENCES = 3  # that one answer tells


class Asked(Item):
    """A question and its answer as a model writes them."""

    question: str
    answer: str


class AskedPairs(Items[Asked]):
    """One reply."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One thing in one clip, and the words for what it does there; they begin with its name."""

    entity: dm.Entity
    segment: dm.TranscriptSegment

    @property
    def name(self) -> str:
        return grammar.name(self.entity.expression)

    @property
    def text(self) -> str:
        return self.segment.text or ""

    @property
    def clause(self) -> str:
        """The words as they stand inside a sentence."""
        return f"{self.name}{self.text[len(self.name) :].rstrip('.')}"

    @property
    def ids(self) -> tuple[str, ...]:
        return self.segment.entity_id, self.segment.clip_id, self.segment.segment_id


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One pair that is wanted."""

    row: TaskRow
    told: tuple[Sighting, ...]  # of one thing, in order: what the answer says
    meanwhile: Sighting | None = None  # of another thing: during what

    @property
    def entity(self) -> dm.Entity:
        return self.told[0].entity

    @property
    def about(self) -> str:
        return "<region>" if self.row.mask == "yes" else self.told[0].name

    @property
    def placeholders(self) -> list[str]:
        regions = ["<region>"] if self.row.mask == "yes" else []
        return regions + (["<start_time>", "<end_time>"] if self.row.time == "yes" else [])

    def shown(self) -> dict[str, JsonValue]:
        return {
            "about": self.about,
            "does": [one.text for one in self.told],
            "meanwhile": self.meanwhile.clause if self.meanwhile else None,
            "placeholders": [*self.placeholders],
        }

    def pair(self, asked: Asked) -> dm.Instruction:
        """The pair in checked words. Raises ValueError where they may not be used."""
        clause = self.meanwhile.clause if self.meanwhile else None
        question = check_question(asked.question, self.about, clause, self.placeholders)
        answer = check_answer(asked.answer, [one.text for one in self.told], self.told[0].name)
        item = self._instruction(question, answer)
        if given := turn_leaks(item, {self.entity.entity_id: self.entity}):
            raise ValueError(f"the question gives away: {', '.join(given)}")
        return item

    def _instruction(self, question: str, answer: str) -> dm.Instruction:
        first, last = self.told[0].segment, self.told[-1].segment
        is_timed = self.row.time == "yes"
        sightings = [*self.told, *([self.meanwhile] if self.meanwhile else [])]
        return dm.Instruction(
            instruction_id="",
            video_id=first.video_id,
            group=self.row.group,
            task_type=self.row.task_type,
            turns=(dm.Turn(role="human", text=question), dm.Turn(role="gpt", text=answer)),
            region_entity_ids=(self.entity.entity_id,) if self.row.mask == "yes" else (),
            start_s=first.start_s if is_timed else None,
            end_s=last.end_s if is_timed else None,
            template_id=f"{self.row.task_type}.told{MARK}",
            source_ids=tuple(dict.fromkeys(chain.from_iterable(one.ids for one in sightings))),
        )


def generate(
    entities: Sequence[dm.Entity], segments: Sequence[dm.TranscriptSegment], model: ServedModel
) -> list[dm.Instruction]:
    """Pairs without ids from what the transcript's words add to the facts; none where they add nothing.

    Raises BackendError where the server does not answer.
    """
    topics = list(islice(topics_of(entities, segments), MAX_TOPICS))
    found = ask_each(
        topics, model=model, prompt=ASK_TOLD, reply=AskedPairs, shown=Topic.shown, use=Topic.pair
    )
    return [pair for pair in found if pair is not None]


def topics_of(entities: Sequence[dm.Entity], segments: Sequence[dm.TranscriptSegment]) -> Iterator[Topic]:
    """What can be asked, the kinds by turns: of each thing in each clip, of each in the video, of two."""
    by_id = {one.entity_id: one for one in entities}
    told = [Sighting(entity=by_id[s.entity_id], segment=s) for s in segments if adds_something(s, by_id)]
    rows = {row.task_type: row for row in task_rows()}
    kinds = (
        [Topic(row=rows["event_at_time"], told=(one,)) for one in told],
        [Topic(row=rows["entity_at_time"], told=(one,)) for one in told],
        [Topic(row=rows["describe_entity"], told=all_of_one) for all_of_one in _by_thing(told)],
        [
            Topic(row=rows["concurrent_action"], told=(one,), meanwhile=other)
            for one, other in permutations(told, 2)
            if one.segment.clip_id == other.segment.clip_id and _is_once(other, told)
        ],
    )
    return (topic for by_turns in zip_longest(*kinds) for topic in by_turns if topic is not None)


def adds_something(segment: dm.TranscriptSegment, entities: Mapping[str, dm.Entity]) -> bool:
    """Whether a segment's words say more than its facts, without denying and without doubt."""
    entity, text = entities[segment.entity_id], segment.text or ""
    if not text.lower().startswith(f"{grammar.name(entity.expression).lower()} ") or denies(text):
        return False
    if segment.agreement is not None and segment.agreement < MIN_AGREEMENT:
        return False
    names = {one.entity_id: grammar.name(one.expression) for one in entities.values()}
    facts = sentence(grammar.named(entity), segment.actions, lambda other: names[other])
    return not content_stems(text) <= content_stems(facts)


def _by_thing(told: Sequence[Sighting]) -> Iterator[tuple[Sighting, ...]]:
    """What each thing does in all of the video, in order of time, no words twice."""
    ordered = sorted(told, key=lambda one: (one.segment.entity_id, one.segment.start_s))
    for _, own in groupby(ordered, key=lambda one: one.segment.entity_id):
        distinct = {one.text: one for one in reversed(list(own))}
        yield tuple(reversed(distinct.values()))[:_MAX_SENTENCES]


def _is_once(one: Sighting, told: Sequence[Sighting]) -> bool:
    """Whether the words name one clip of the video only."""
    return sum(other.text == one.text for other in told) == 1
