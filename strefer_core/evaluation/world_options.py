"""What a question of the world's bench may be answered with: the right answer among wrong ones.

| form | options |
|---|---|
| yes_no | "Yes", "No" |
| choice | the lettered options of the question |
| when | intervals, each said in the words of the right answer |
| open | answers to other questions of its kind of the same video, some with words exchanged |
| premise | an answer that goes along with the question, and one that denies what it takes for granted |

Of open questions and premises the truth decides: an option is kept only where it can be read as an answer to
this very question and something that it says is not so. Wrong options are told in the manner of the right one
where there are such, so that wording gives little away; what it does give away the text-only baseline shows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from strefer_core import claims as cl
from strefer_core import data_model as dm
from strefer_core.audit.checking import Verdict
from strefer_core.audit.examples import question_template
from strefer_core.evaluation.items import Form, Interval
from strefer_core.evaluation.wording import (
    LOOKS,
    PLACES,
    first_clause,
    lettered_options,
    renamed,
    swapped,
    turned,
    verbs,
    ways,
)
from strefer_core.evaluation.world_judging import Said, VideoJudge

PREMISE = "false_premise"
MOST_OPTIONS = 4

_YES_NO = re.compile(r"(yes|no)\b", re.IGNORECASE)
_LETTER = re.compile(r"\(([A-H])\)")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one question; those of an interval are one text with as many intervals."""

    form: Form
    texts: tuple[str, ...]
    right: int
    said: tuple[Said | None, ...]  # each as an answer to the question; None: nobody can judge it
    intervals_s: tuple[Interval, ...] = ()
    interval_s: Interval | None = None  # of times that an option speaks of


def form_of(pair: dm.Instruction) -> Form:
    """How a pair of one question is asked."""
    question, answer = (turn.text for turn in pair.turns)
    if pair.task_type == PREMISE:
        return "premise"
    if lettered_options(question):
        return "choice"
    if "<start_time>" in answer and "<start_time>" not in question:
        return "when"
    return "yes_no" if _YES_NO.match(answer) else "open"


class OptionWriter:
    """Writes options for the pairs of one video, all of them right.

    Args:
        judge: of the video.
        verdicts: of all its pairs.
    """

    def __init__(self, judge: VideoJudge, verdicts: Sequence[Verdict]) -> None:
        self._judge = judge
        self._verdicts = verdicts
        self._intervals = sorted({i for one in verdicts if (i := interval_of(one.pair)) is not None})

    def options(self, verdict: Verdict, rng: random.Random) -> Options | None:
        """The options of a pair that is no premise; None where nothing wrong could be found."""
        match form_of(verdict.pair):
            case "yes_no":
                return self._yes_no(verdict.pair)
            case "choice":
                return self._lettered(verdict.pair)
            case "when":
                return self._when(verdict.pair, rng)
            case _:
                return self._open(verdict, rng)

    def _yes_no(self, pair: dm.Instruction) -> Options:
        texts = ("Yes", "No")
        right = 0 if pair.turns[1].text.lower().startswith("yes") else 1
        said = tuple(self._judge.said(pair, f"{text}.") for text in texts)
        return Options(form="yes_no", texts=texts, right=right, said=said)

    def _lettered(self, pair: dm.Instruction) -> Options | None:
        listed = lettered_options(pair.turns[0].text)
        chosen = _LETTER.search(pair.turns[1].text)
        if chosen is None:
            return None
        bare = any("<region>" in text for _, text in listed)
        texts = tuple(f"({letter})" if bare else f"({letter}) {text}" for letter, text in listed)
        said = tuple(self._judge.said(pair, f"({letter})") for letter, _ in listed)
        right = [letter for letter, _ in listed].index(chosen[1])
        return Options(form="choice", texts=texts, right=right, said=said)

    def _when(self, pair: dm.Instruction, rng: random.Random) -> Options | None:
        text = pair.turns[1].text
        said, right = self._judge.said(pair, text), interval_of(pair)
        if said is None or right is None:
            return None
        tried = [one for one in self._intervals if _overlap(one, right) < 0.5]
        tried += [one for one in shifts(right, self._judge.duration_s) if one not in tried]
        wrong = [one for one in rng.sample(tried, len(tried)) if self._judge.faults(said, interval_s=one)]
        intervals = [right, *wrong[: MOST_OPTIONS - 1]]
        if len(intervals) < 2:
            return None
        rng.shuffle(intervals)
        count = len(intervals)
        return Options(
            form="when",
            texts=(text,) * count,
            right=intervals.index(right),
            said=(said,) * count,
            intervals_s=tuple(intervals),
        )

    def _open(self, verdict: Verdict, rng: random.Random) -> Options | None:
        if "<region>" in verdict.pair.turns[1].text:
            return None
        wrong = self._wrong(verdict.pair, self._candidates(verdict, rng), MOST_OPTIONS - 1)
        return self._mixed("open", verdict.pair, verdict.pair.turns[1].text, wrong, rng)

    def premise(self, verdict: Verdict, rng: random.Random) -> Options | None:
        """A false premise's denial beside an answer that goes along, or the other way round."""
        is_denial = verdict.pair.task_type == PREMISE
        pair = self._with_times(verdict.pair, rng) if _asks(verdict) == "when" else verdict.pair
        others = [one for one in self._verdicts if (one.pair.task_type == PREMISE) != is_denial]
        asked = [one for one in others if _asks(one) == _asks(verdict)]
        drawn = [self._as_of(one, verdict) for one in rng.sample(asked, len(asked))]
        told = [text if is_denial else first_clause(text) for text in drawn]
        tried = [text for one in told for text in (one, *turned(one, PLACES, rng))]
        question = pair.turns[0].text
        fitting = [text for text in tried if _goes_with(text, question, _asks(verdict), not is_denial)]
        right = pair.turns[1].text
        return self._mixed(
            "premise",
            pair,
            first_clause(right) if is_denial else right,
            self._wrong(pair, fitting, 1),
            rng,
        )

    def _with_times(self, pair: dm.Instruction, rng: random.Random) -> dm.Instruction:
        """With an interval that an answer can speak of."""
        if pair.start_s is not None or not self._intervals:
            return pair
        start_s, end_s = rng.choice(self._intervals)
        return replace(pair, start_s=start_s, end_s=end_s)

    def _mixed(
        self,
        form: Form,
        pair: dm.Instruction,
        right: str,
        wrong: Sequence[Said],
        rng: random.Random,
    ) -> Options | None:
        said = self._judge.said(pair, right)
        if said is None or self._judge.faults(said) or not wrong:
            return None
        mixed = [said, *wrong]
        rng.shuffle(mixed)
        texts = tuple(one.pair.turns[1].text for one in mixed)
        return Options(
            form=form,
            texts=texts,
            right=mixed.index(said),
            said=tuple(mixed),
            interval_s=interval_of(pair) if any("<start_time>" in text for text in texts) else None,
        )

    def _candidates(self, verdict: Verdict, rng: random.Random) -> Iterator[str]:
        """Answers that may be wrong here: those told like the right one first, changed looks last."""
        own = verdict.pair.turns[1].text
        others = [one for one in self._verdicts if _kin(one) == _kin(verdict) and one is not verdict]
        others = rng.sample(others, len(others))
        manner = _manner(verdict)
        alike = [self._as_of(one, verdict) for one in others if _manner(one) == manner]
        drawn = [self._as_of(one, verdict) for one in others]
        names = [who.words for reading in verdict.readings for who in reading.about if who.words]
        yield from alike
        yield from swapped(own, names)
        for classes in (PLACES, LOOKS):
            changed = list(turned(own, classes, rng))
            yield from rng.sample(changed, len(changed))
            yield from (text for one in (*alike, *drawn) for text in (one, *turned(one, classes, rng)))

    def _as_of(self, one: Verdict, verdict: Verdict) -> str:
        """One's answer, speaking of whom the other asks about."""
        text = one.pair.turns[1].text
        old, new = _name(one), _name(verdict)
        return renamed(text, old, new) if old and new else text

    def _wrong(self, pair: dm.Instruction, texts: Iterable[str], most: int) -> list[Said]:
        """The first `most` texts that are wrong, no two of which say the same."""
        found: dict[frozenset[cl.Claim], Said] = {}
        for text in dict.fromkeys(texts):
            if len(found) == most:
                break
            said = None if "<region>" in text else self._judge.said(pair, text)
            if said is not None and (told := _told(said)) not in found and self._judge.faults(said):
                found[told] = said
        return list(found.values())


def _told(said: Said) -> frozenset[cl.Claim]:
    """What an answer says, without by what name it calls whom it was asked about."""
    claims = said.readings[0].claims
    return frozenset(one for one in claims if not isinstance(one, cl.IsA)) or claims


def _goes_with(text: str, question: str, asks: str, is_denial: bool) -> bool:
    """Whether directions fit the question's: denials repeat them, and what comes next is another one."""
    told, asked = ways(text), ways(question)
    return told <= asked if is_denial else not (asks == "next" and told & asked)


def interval_of(pair: dm.Instruction) -> Interval | None:
    return None if pair.start_s is None or pair.end_s is None else (pair.start_s, pair.end_s)


def shifts(interval: Interval, duration_s: float) -> Iterator[Interval]:
    """Intervals of the same length all over the video that share less than half of it with the given one."""
    length_s = interval[1] - interval[0]
    last_s = duration_s - length_s
    for step in range(9):
        start_s = round(last_s * step / 8, 3)
        moved = start_s, round(start_s + length_s, 3)
        if last_s > 0 and _overlap(moved, interval) < 0.5 and moved[1] <= duration_s:
            yield moved


def _overlap(one: Interval, other: Interval) -> float:
    """Shared time over the shorter one's."""
    shared_s = min(one[1], other[1]) - max(one[0], other[0])
    return max(shared_s, 0.0) / min(one[1] - one[0], other[1] - other[0])


def _kin(verdict: Verdict) -> tuple[str, str, bool]:
    """Task type and what its question asks: "event_at_time.where"; G3 and G7 ask alike."""
    kind = ".".join(verdict.pair.template_id.split(".")[:2])
    return kind, _asks(verdict), "<start_time>" in verdict.pair.turns[0].text


def _asks(verdict: Verdict) -> str:
    return verdict.readings[0].asks if verdict.readings else ""


def _manner(verdict: Verdict) -> tuple[str, frozenset[str]]:
    """How an answer is told: its template, and its words for moving."""
    template = verdict.pair.template_id.removeprefix(question_template(verdict.pair.template_id))
    return template, verbs(verdict.pair.turns[1].text)


def _name(verdict: Verdict) -> str | None:
    """Whom the question asks about by name, where it is one."""
    about = {who.words for reading in verdict.readings for who in reading.about}
    return next(iter(about)) if len(about) == 1 else None
