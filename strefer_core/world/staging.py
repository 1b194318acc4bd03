"""Who goes where in one place: everybody's way over the screen, and the boards that some hide behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from strefer_core.world import parts as ways
from strefer_core.world import sets
from strefer_core.world.floor import Floor
from strefer_core.world.roams import roam
from strefer_core.world.script import Board, Path, Point, Prop
from strefer_core.world.troupe import Part, Role

Rng = np.random.Generator
_FIRST: tuple[Role, ...] = (
    "hide",
    "half",
    "twin",
    "race",
    "return",
    "early",
    "late",
    "dash",
    "cover",
    "roam",
)


@dataclass
class Staged:
    """The ways in one place, in screen pixels."""

    paths: dict[int, Path] = field(default_factory=dict)  # by place in the cast
    boards: list[Prop] = field(default_factory=list)
    order: list[int] = field(default_factory=list)  # of the cast, from the back to the front


def staged(
    rng: Rng, floor: Floor, parts: Sequence[Part], group: Sequence[int], knobs: frozenset[str]
) -> Staged:
    """Ways for a group of the cast, those with the most to do first.

    Raises:
        NoRoom: they do not fit into the frame beside one another.
    """
    plan = _Plan(rng, floor, parts, knobs)
    for i in sorted(group, key=lambda i: _FIRST.index(parts[i].role)):
        if i not in plan.result.paths:
            plan.place(i)
    behind = [i for i in group if parts[i].role in ("hide", "half")]
    others = [i for i in group if i not in behind]
    plan.result.order = [*behind, *(others[int(i)] for i in rng.permutation(len(others)))]
    front = len(behind) if rng.random() < 0.5 else len(group)
    plan.result.boards = [replace(board, layer=front) for board in plan.result.boards]
    return plan.result


_LEFT_BEHIND = 0.25  # share of those with nothing else to do that a panning camera does not follow


class _Plan:
    def __init__(self, rng: Rng, floor: Floor, parts: Sequence[Part], knobs: frozenset[str]) -> None:
        self._rng, self._floor, self._parts, self._knobs = rng, floor, parts, knobs
        self.result = Staged()
        self._apart = 0.5 if "crowding" in knobs else 0.95 if knobs else 1.1
        change_s = rng.uniform(0.37, 0.5) * floor.end_s
        self._change_s = float(change_s)  # by then the early one is gone; the late one comes after it

    def place(self, i: int) -> None:
        """Find a way for one of the cast, and for its partner."""
        rng, floor, who = self._rng, self._floor, self._parts[i].character
        role = self._parts[i].role
        if role in ("hide", "half"):
            self._hide(i)
        elif role == "twin" and "look_alikes" in self._knobs:
            one, other = ways.meet(rng, floor, who, self._parts[i + 1].character, 0.9 * self._apart)
            self._take(i, one)
            self._take(i + 1, other)
        elif role == "race":
            self._take(i, ways.race(rng, floor, who))
        elif role == "return":
            self._take(i, ways.come_back(rng, floor, who, 0.8 * self._apart))
        elif role == "early":
            self._take(i, ways.leave_early(rng, floor, who, 0.8 * self._apart, self._change_s))
        elif role == "late":
            self._take(i, ways.come_late(rng, floor, who, 0.8 * self._apart, self._change_s))
        elif role == "dash":
            self._take(i, ways.dash(rng, floor, who, 0.6 * self._apart))
        else:
            self._take(i, self._roam(i))

    def _roam(self, i: int) -> Path:
        rng, who = self._rng, self._parts[i].character
        stays = self._parts[i].role == "roam" and "camera_pan" in self._knobs and rng.random() < _LEFT_BEHIND
        return (ways.left_behind if stays else roam)(rng, self._floor, who, self._apart)

    def _take(self, i: int, path: Path) -> None:
        turn = float(self._rng.choice([-1, 1]) * self._rng.uniform(0, 50))
        self.result.paths[i] = replace(path, spin_deg_s=turn)
        self._floor.take(self._parts[i].character, self._floor.positions(path))

    def _hide(self, i: int) -> None:
        """Behind the next one of the cast if that is its cover, else behind a board."""
        rng, floor = self._rng, self._floor
        who, wholly = self._parts[i].character, self._parts[i].role == "hide"
        middle_s = float(rng.uniform(0.3, 0.7) * floor.end_s)
        hold = (middle_s - rng.uniform(0.25, 0.5), middle_s + rng.uniform(0.25, 0.6))
        if i + 1 < len(self._parts) and self._parts[i + 1].role == "cover":
            self._take(i + 1, self._roam(i + 1))
            cover = self._parts[i + 1].character
            shift = (0.0, 0.0) if wholly else self._beside(floor.reach(cover))
            target = floor.positions(self.result.paths[i + 1]) + shift
        else:
            board = sets.board(rng, floor, who, middle_s)
            self.result.boards.append(board)
            floor.take_board(board)
            target = floor.seen_at(board.at if wholly else self._edge(board))
        self._take(i, ways.pass_behind(rng, floor, who, target, hold))

    def _beside(self, reach: float) -> Point:
        turn = self._rng.uniform(0, 2 * np.pi)
        far = reach * self._rng.uniform(0.6, 0.95)
        return float(far * np.cos(turn)), float(far * np.sin(turn))

    def _edge(self, board: Prop) -> Point:
        """A point of the world near the middle of one of its upright edges, or of its upper one."""
        assert isinstance(board.look, Board)
        x, y = board.at
        slack = self._rng.uniform(-0.12, 0.12) * board.look.width_px
        if board.look.height_px < 1.8 * board.look.width_px and self._rng.random() < 0.5:
            return x, y - board.look.height_px / 2 + slack
        return x + float(self._rng.choice((-1, 1))) * board.look.width_px / 2 + slack, y
