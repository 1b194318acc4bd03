"""Nouns as the text that GroundingDINO reads: `[CLS] noun . noun . [SEP]`, and where each noun stands in it.

Nouns are turned into tokens one by one, so that a noun's place is known and never looked for in a string.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Ids of the tokens that hold a prompt together, in the tokenizer's vocabulary."""

    start: int  # [CLS]
    end: int  # [SEP]
    stop: int  # "." behind every noun
    special: Collection[int]  # these and all others that no noun may hold: "?" ends a phrase as well


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One text and the half-open token spans of the nouns in it, by place among the nouns asked for."""

    ids: tuple[int, ...]
    spans: dict[int, tuple[int, int]]


def prompts_of(
    nouns: Sequence[str], tokens_of: Callable[[str], Sequence[int]], marks: Marks, max_tokens: int
) -> list[Prompt]:
    """As few prompts as hold all nouns, in their order.

    Args:
        nouns: as asked for. One of which no token is left is in no prompt; nouns of the same tokens share
            a span; one that is longer than a prompt is cut.
        tokens_of: a noun's tokens, without those that begin and end a text.
        marks: of the same vocabulary.
        max_tokens: of a prompt.
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for place, noun in enumerate(nouns):
        tokens = tuple(token for token in tokens_of(noun) if token not in marks.special)
        if tokens:
            places.setdefault(tokens[: max_tokens - 3], []).append(place)
    found: list[Prompt] = []
    batch: list[tuple[int, ...]] = []
    for tokens in places:
        if batch and _length([*batch, tokens]) > max_tokens:
            found.append(_prompt(batch, places, marks))
            batch = []
        batch.append(tokens)
    return [*found, _prompt(batch, places, marks)] if batch else found


def _length(nouns: Sequence[tuple[int, ...]]) -> int:
    return 2 + sum(len(tokens) + 1 for tokens in nouns)


def _prompt(
    nouns: Sequence[tuple[int, ...]], places: dict[tuple[int, ...], list[int]], marks: Marks
) -> Prompt:
    ids = [marks.start]
    spans: dict[int, tuple[int, int]] = {}
    for tokens in nouns:
        span = len(ids), len(ids) + len(tokens)
        spans |= dict.fromkeys(places[tokens], span)
        ids += [*tokens, marks.stop]
    return Prompt(ids=(*ids, marks.end), spans=spans)
