"""Who is who: tracklets given to entities as one matching over time, on evidence from several frames.

An integer program (solved exactly by HiGHS) chooses for every node of tracklets an entity or none, so that
the frames' evidence is explained best. On no frame has an entity two places. Staying with the entity of
the stretch before is worth something, so that a doubtful moment does not cut a good track; but evidence
that turns along a track outweighs it: that is how a switched identity is mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from strefer_core.cascades.tracklets import Node

Scores = NDArray[np.float64]  # (nodes, entities) mean match over the frames looked at; NaN: not looked at

_STAY = 0.6  # worth of going on with the same entity over a cut, in frames of certain evidence
_STAY_OVER_GAP = 0.3  # the same where the track was away between
_NO_WORSE = 0.15  # difference of scores that is no reason to part a piece from the rest of its track


@dataclass(frozen=True, kw_only=True)
class Link:
    """Two nodes that follow each other on one track."""

    before: int
    after: int
    worth: float


def links(nodes: Sequence[Node]) -> list[Link]:
    """Pairs of nodes that hold neighbouring tracklets of one track."""
    places = sorted(
        (part.track, part.start, part.end, node) for node, one in enumerate(nodes) for part in one.parts
    )
    result: dict[tuple[int, int], float] = {}
    for (track, _, end, before), (next_track, start, _, after) in pairwise(places):
        if track == next_track and before != after:
            worth = _STAY if start == end else _STAY_OVER_GAP
            result[before, after] = max(worth, result.get((before, after), 0.0))
    return [Link(before=a, after=b, worth=worth) for (a, b), worth in sorted(result.items())]


def evidence_frames(nodes: Sequence[Node], *, per_node: int, most: int) -> list[int]:
    """Frames to look at, so that every node is seen on `per_node` of them where it lasts as long.

    The frame that serves the most nodes comes first; longer nodes before shorter ones where `most` binds.
    """
    missing = {place: min(per_node, len(node.frames)) for place, node in enumerate(nodes)}
    chosen: list[int] = []
    frames = sorted({frame for node in nodes for frame in node.frames})
    while len(chosen) < most and any(missing.values()):
        worth = {
            frame: sum(
                _worth(node, frame, chosen)
                for place, node in enumerate(nodes)
                if missing[place] and frame in node.frames
            )
            for frame in frames
            if frame not in chosen
        }
        best = max(worth, key=lambda frame: worth[frame])
        chosen.append(best)
        for place, node in enumerate(nodes):
            if best in node.frames:
                missing[place] = max(missing[place] - 1, 0)
    return sorted(chosen)


def _worth(node: Node, frame: int, chosen: Sequence[int]) -> float:
    """Frames of a long node far from its edges and from those already chosen tell the most."""
    near = [abs(frame - other) for other in chosen if other in node.frames]
    spread = min(min(near, default=4), 4) / 4
    edge = min(frame - min(node.frames), max(node.frames) - frame, 2) / 2
    return len(node.frames) ** 0.5 * (0.4 + 0.3 * spread + 0.3 * edge)


def associate(
    nodes: Sequence[Node], scores: Scores, joints: Sequence[Link], min_match: float
) -> list[int | None]:
    """The entity of every node, or None.

    Args:
        nodes: tracklets of one thing each.
        scores: (nodes, entities).
        joints: pairs that would rather have the same entity.
        min_match: score below which evidence speaks against a match.
    """
    node_count, entity_count = scores.shape
    if not scores.size:
        return [None] * node_count
    program = _Program(node_count, entity_count, joints)
    lengths = np.array([len(node.frames) for node in nodes], float)
    gain = np.where(np.isnan(scores), 0.0, scores - min_match) * lengths[:, None] - 1e-6
    rows = [*program.one_entity_per_node(), *program.one_node_per_frame(nodes), *program.stays()]
    answer = milp(
        -np.concatenate([gain.ravel(), np.repeat([link.worth for link in joints], entity_count)]),
        integrality=1,
        bounds=Bounds(0, 1),
        constraints=program.constraint(rows),
    )
    assert answer.x is not None, answer.message  # all zero is always allowed
    chosen = answer.x[: node_count * entity_count].reshape(node_count, entity_count) > 0.5
    return [int(row.argmax()) if row.any() else None for row in chosen]


def ambiguous(
    nodes: Sequence[Node], scores: Scores, are_apart: Callable[[Node, Node], bool], min_match: float
) -> list[bool]:
    """Per entity whether its words fit two things that are seen at the same time, one as well as the other.

    Such words do not refer: giving them either thing is right by chance only, and takes it from those who
    have a better claim.
    """
    result = []
    for column in scores.T:
        best = float(np.nanmax(column, initial=-np.inf))
        fitting = [node for node, score in zip(nodes, column, strict=True) if score >= best - _NO_WORSE]
        result.append(
            best >= min_match + _NO_WORSE
            and any(are_apart(one, other) for one, other in combinations(fitting, 2))
        )
    return result


def keep_together(nodes: Sequence[Node], owners: Sequence[int | None], scores: Scores) -> list[int | None]:
    """Owners, after pieces went back to those who hold the larger part of the same track and fit no worse.

    Words for somebody absent fit the most similar thing nearly as well as its own words. In the matching
    they can win a piece of its track where the own entity is taken for another one; a piece is no proof.
    """
    result = list(owners)
    for entity in range(scores.shape[1]):
        own = [place for place, owner in enumerate(result) if owner == entity]
        rival = _larger_holder(nodes, result, entity, own)
        if rival is not None and _mean(nodes, scores[:, entity], own) <= _NO_WORSE + _mean(
            nodes, scores[:, rival], own
        ):
            taken = frames_of(nodes, result, rival).keys()
            for place in own:
                result[place] = None if nodes[place].frames & taken else rival
    return result


def _larger_holder(
    nodes: Sequence[Node], owners: Sequence[int | None], entity: int, own: Sequence[int]
) -> int | None:
    """The entity that holds more of the tracks under `own` nodes than `entity` does."""
    tracks = {part.track for place in own for part in nodes[place].parts}
    held: Counter[int] = Counter()
    for node, owner in zip(nodes, owners, strict=True):
        if owner is not None:
            held[owner] += sum(len(part.frames) for part in node.parts if part.track in tracks)
    largest = max(held, key=lambda owner: held[owner], default=entity)
    return largest if held[largest] > held[entity] else None


def _mean(nodes: Sequence[Node], scores: NDArray[np.float64], places: Sequence[int]) -> float:
    """Mean score over the frames of nodes that were looked at; 0 where none was."""
    seen = [place for place in places if not np.isnan(scores[place])]
    if not seen:
        return 0.0
    return float(np.average(scores[seen], weights=[len(nodes[place].frames) for place in seen]))


Row = tuple[dict[int, float], float]  # coefficients by variable, upper bound


class _Program:
    """Constraints over x[node, entity] and, after these, stay[link, entity], all 0 or 1."""

    def __init__(self, node_count: int, entity_count: int, joints: Sequence[Link]) -> None:
        self._nodes, self._entities, self._joints = node_count, entity_count, joints

    def _x(self, node: int, entity: int) -> int:
        return node * self._entities + entity

    def _stay(self, link: int, entity: int) -> int:
        return (self._nodes + link) * self._entities + entity

    def one_entity_per_node(self) -> list[Row]:
        return [({self._x(n, e): 1.0 for e in range(self._entities)}, 1.0) for n in range(self._nodes)]

    def one_node_per_frame(self, nodes: Sequence[Node]) -> list[Row]:
        crowds = {
            tuple(n for n, node in enumerate(nodes) if frame in node.frames)
            for frame in {frame for node in nodes for frame in node.frames}
        }
        return [
            ({self._x(n, e): 1.0 for n in crowd}, 1.0)
            for crowd in sorted(crowds)
            if len(crowd) > 1
            for e in range(self._entities)
        ]

    def stays(self) -> list[Row]:
        return [
            ({self._stay(place, e): 1.0, self._x(node, e): -1.0}, 0.0)
            for place, link in enumerate(self._joints)
            for node in (link.before, link.after)
            for e in range(self._entities)
        ]

    def constraint(self, rows: Sequence[Row]) -> LinearConstraint:
        entries = [(row, at, value) for row, (terms, _) in enumerate(rows) for at, value in terms.items()]
        at_row, at_column, values = (np.array(part) for part in zip(*entries, strict=True))
        shape = (len(rows), (self._nodes + len(self._joints)) * self._entities)
        matrix = coo_array((values, (at_row, at_column)), shape=shape)
        return LinearConstraint(matrix, ub=[bound for _, bound in rows])


def frames_of(nodes: Sequence[Node], owners: Sequence[int | None], entity: int) -> dict[int, int]:
    """Per sampled frame the node that stands for an entity."""
    return {
        frame: place
        for place, (node, owner) in enumerate(zip(nodes, owners, strict=True))
        if owner == entity
        for frame in node.frames
    }


def main_track(nodes: Sequence[Node], held: dict[int, int]) -> int:
    """The track that gives an entity the most of its frames."""
    return Counter(nodes[node].track_on(frame) for frame, node in held.items()).most_common(1)[0][0]
