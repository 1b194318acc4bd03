"""One pair held against the truth: its form, its regions, what it says and what it takes for granted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from strefer_core import claims as cl
from strefer_core import data_model as dm
from strefer_core.audit.judging import Fault, Judge, Reference, Unclear
from strefer_core.reading import Unreadable, read
from strefer_core.stages.leaks import leaks
from strefer_core.world.truth import TrueEntity

_TOLERANCE_S = 1e-3


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One pair, and what is wrong with it."""

    pair: dm.Instruction
    faults: tuple[Fault, ...]  # those of its form first; empty: the pair is right
    leaked: tuple[str, ...]  # what its questions give away
    readings: tuple[cl.Reading, ...] = ()  # one per question; none where it is malformed or unreadable

    @property
    def is_right(self) -> bool:
        return not self.faults


class Checker:
    """Checks the pairs of one video.

    Args:
        judge: of the video's truth.
        entities: as the pairs were made from.
        masklets: likewise.
    """

    def __init__(self, judge: Judge, entities: Sequence[dm.Entity], masklets: Sequence[dm.Masklet]) -> None:
        self._judge = judge
        self._entities = {one.entity_id: one for one in entities}
        self._lies_on = {one.entity_id: judge.naming.lies_on(one) for one in masklets}
        self._known = [one.expression for one in entities]
        self._named_ids = frozenset(_named(judge, entities))

    def check(self, pair: dm.Instruction) -> Verdict:
        """Judge a pair by its text, its regions and its times alone."""
        leaked = tuple(self._leaked(pair))
        faults = [Fault(kind="leak", why=f"the question tells {', '.join(leaked)}")] if leaked else []
        readings: tuple[cl.Reading, ...] = ()
        try:
            readings = self._read(pair)
            faults += self.faults(readings, self.reference(pair))
        except Unclear as unclear:
            faults.append(unclear.fault)
        return Verdict(pair=pair, faults=tuple(dict.fromkeys(faults)), leaked=leaked, readings=readings)

    def _read(self, pair: dm.Instruction) -> tuple[cl.Reading, ...]:
        """What a pair says. Raises Unclear where it is malformed or unreadable."""
        if malformed := self._malformed(pair):
            raise Unclear("malformed", malformed)
        try:
            return read(pair.turns, self._known)
        except Unreadable as error:
            raise Unclear("unreadable", str(error)) from error

    def faults(self, readings: Sequence[cl.Reading], given: Reference) -> Iterator[Fault]:
        """What is wrong with what a pair says, and with what it takes for granted."""
        for reading in readings:
            for claim in sorted(reading.claims, key=repr):
                if fault := self._judge.fault(claim, given):
                    yield replace(fault, claim=repr(claim))
            yield from self._unseen(reading, given)

    def _unseen(self, reading: cl.Reading, given: Reference) -> Iterator[Fault]:
        """Who asks what somebody does takes it to be seen then; the answer must say so where it is not."""
        if given.asked is None or any(_is_about_presence(claim) for claim in reading.claims):
            return
        for who in reading.about:
            seen = cl.Does(who=who, what=cl.Predicate(kind="visible"), window="asked", span="sometime")
            if fault := self._judge.fault(seen, given):
                yield replace(fault, why=f"taken for granted, {fault.why}", claim=repr(seen))

    def reference(self, pair: dm.Instruction) -> Reference:
        """What the placeholders of a pair stand for."""
        return Reference(
            regions=[self._lies_on.get(entity_id) for entity_id in pair.region_entity_ids],
            asked=None if pair.start_s is None or pair.end_s is None else (pair.start_s, pair.end_s),
            named_ids=self._named_ids,
        )

    def _leaked(self, pair: dm.Instruction) -> list[str]:
        """Of every question with a region: what it, or all that was said before it, gives away."""
        found: set[str] = set()
        regions = iter(pair.region_entity_ids)
        said = ""
        for question, answer in zip(pair.turns[::2], pair.turns[1::2], strict=False):
            asked = [next(regions, "") for _ in range(question.text.count("<region>"))]
            entities = [self._entities[one] for one in asked if one in self._entities]
            found |= set(leaks(question.text, answer.text, entities, before=said))
            said += f"{question.text}\n{answer.text}\n"
            for _ in range(answer.text.count("<region>")):
                next(regions, None)
        return sorted(found)

    def _malformed(self, pair: dm.Instruction) -> str | None:
        text = "\n".join(turn.text for turn in pair.turns)
        regions = text.count("<region>")
        if [turn.role for turn in pair.turns] != ["human", "gpt"] * (len(pair.turns) // 2) or not pair.turns:
            return "turns do not alternate between human and gpt"
        if regions != len(pair.region_entity_ids):
            return f"{regions} regions in the text, {len(pair.region_entity_ids)} given"
        if missing := [one for one in pair.region_entity_ids if one not in self._lies_on]:
            return f"no masklet for region {missing[0]}"
        return self._malformed_times(pair, text)

    def _malformed_times(self, pair: dm.Instruction, text: str) -> str | None:
        given = pair.start_s, pair.end_s
        if given == (None, None):
            return "times in the text, none given" if "_time>" in text else None
        if "_time>" not in text:
            return "times are given, none in the text"
        if pair.start_s is None or pair.end_s is None or not 0 <= pair.start_s < pair.end_s:
            return f"no interval: {given}"
        if pair.end_s > self._judge.scene.duration_s + _TOLERANCE_S:
            return f"{given} ends after the video, {self._judge.scene.duration_s} s"
        return None


def _named(judge: Judge, entities: Sequence[dm.Entity]) -> Iterator[str]:
    """True entities that the video's entities name without doubt."""
    for entity in entities:
        found = judge.naming.fitting(entity.expression)
        if len(found) == 1 and isinstance(found[0], TrueEntity):
            yield found[0].entity_id


def _is_about_presence(claim: cl.Claim) -> bool:
    """Whether a claim itself says when somebody is there, or that nobody is."""
    if isinstance(claim, cl.Does):
        return claim.what.kind == "visible"
    return isinstance(claim, cl.Absent | cl.Timed)
