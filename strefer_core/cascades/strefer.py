"""Our cascade: looks on where something is missing, and lets evidence from many frames decide who is who.

Against the paper's (arXiv 2509.03501): a frame is full when every noun has its wanted count; entities that
are still without a track, or lose it, get further anchor frames; tracks are cut where they may have gone
wrong and the pieces are matched with the expressions anew, so that one switch, one loss or one wrong answer
spoils a stretch and not the entity; what no evidence speaks for stays without a masklet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.cascades.anchors import NAMES, best_anchor, fresh_boxes, is_full
from strefer_core.cascades.association import (
    ambiguous,
    associate,
    evidence_frames,
    frames_of,
    keep_together,
    links,
    main_track,
)
from strefer_core.cascades.doubt import Looks
from strefer_core.cascades.gaps import Worth, frames_to_look_at, gaps, worth_of_looks
from strefer_core.cascades.glimpse import Glimpses
from strefer_core.cascades.outcome import Found, Outcome, Perception
from strefer_core.cascades.steps import Search, box_iou, sample, suppress, track_boxes
from strefer_core.cascades.tracklets import Node, SmallMasks, are_apart, cut, put_together
from strefer_core.config import MaskletsConfig
from strefer_core.masks import tight_box

_DUPLICATE_IOU = 0.7  # of boxes of one frame from which they are one thing
_FIRST_BATCHES = (0, 1, 2)  # ends of the batches of frames in which a full one is looked for
_FREE_LOOKS = 2  # after these a look has to promise something
_MIN_GAP = 6  # sampled frames without a mask that are worth a look
_LIES_ON = 0.5  # IoU of a box with a track's from which it is a look at the same thing
_WRONG_NOUN = 0.3  # taken from a match where the detector clearly names another noun
_EVIDENCE_FRAMES = 12
_EVIDENCE_PER_NODE = 3


def cascade(
    perception: Perception, footage: Footage, entities: Sequence[dm.Entity], config: MaskletsConfig
) -> Outcome:
    """Sample, detect, track, assign; again from where something is missing, until nothing more is found."""
    work = _Work(perception=perception, footage=footage, entities=entities, config=config)
    if entities:
        work.find_first_anchor()
        work.assign()
        while work.anchors < config.max_anchors and work.find_further_anchor():
            work.assign()
    return Outcome(
        found=tuple(work.found()),
        detector_calls=work.search.calls,
        tracked_frames=work.anchors * len(footage.sampled),
        assigner_calls=work.questions,
        nouns=tuple(work.search.nouns),
        boxes=work.search.found,
    )


@dataclass(kw_only=True)
class _Work:
    """One video while it is worked on."""

    perception: Perception
    footage: Footage
    entities: Sequence[dm.Entity]
    config: MaskletsConfig
    tracks: list[Track] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    owners: list[int | None] = field(default_factory=list)
    anchors: int = 0
    questions: int = 0

    def __post_init__(self) -> None:
        self.search = Search(
            self.perception, self.footage, self.entities, min_score=self.config.min_score, specific=True
        )
        self.small = SmallMasks(self.footage)
        self.looks = Looks(self.footage)
        self.glimpses = Glimpses(self.footage, self.looks)
        self.doubtful: list[NDArray[np.bool_]] = []
        self.order = sample(len(self.footage.sampled))
        self.answers: dict[tuple[int, int], NDArray[np.float64]] = {}  # by frame and track: (E,)
        self.scores = np.zeros((0, len(self.entities)))
        self.unclear = [False] * len(self.entities)
        self.counts = self._counts(range(len(self.entities)))

    # sample and detect

    def find_first_anchor(self) -> None:
        """Look at a few frames, middle first, until one is full; track what fills the best one.

        One that is full spares further anchors; looking for it long would cost more than it spares.
        """
        for start, end in pairwise(_FIRST_BATCHES):
            self.search.look(self.order[start:end])
            if any(is_full(boxes, self.counts) for boxes in self._boxes().values()):
                break
        self._track(self._anchor(self._boxes(), self.counts))

    def find_further_anchor(self) -> bool:
        """Track what is new on the frames looked at, or look at more frames where something is missing.

        Frames are looked at one by one while each may settle the matter, then in growing batches.
        """
        for most in _batches(self.config.detection_batch):
            wanted = self._missing()
            counts = self._counts(wanted)
            fresh = {
                index: fresh_boxes(self.footage, boxes, self.tracks) for index, boxes in self._boxes().items()
            }
            anchor = self._anchor(fresh, counts)
            if anchor:
                self._track(anchor)
                return True
            more = self._frames_to_look_at(wanted, most)
            if not more:
                return False
            self.search.look(more)
        raise AssertionError("batches never end")

    def _boxes(self) -> dict[int, list[Detection]]:
        return {index: suppress(boxes, _DUPLICATE_IOU) for index, boxes in self.search.found.items()}

    def _anchor(self, found: dict[int, list[Detection]], counts: Sequence[int]) -> list[Detection]:
        return best_anchor(self.footage, found, counts)

    def _counts(self, wanted: Sequence[int]) -> list[int]:
        names = Counter(self.entities[place].generalized_noun for place in wanted)
        return [names[noun] for noun in self.search.nouns]

    def _missing(self) -> list[int]:
        """Entities without a mask on some stretch that is long enough to matter."""
        return [place for place in range(len(self.entities)) if not self.unclear[place] and self._gaps(place)]

    def _gaps(self, entity: int) -> list[range]:
        held = frames_of(self.nodes, self.owners, entity)
        return gaps(held, len(self.footage.sampled), _MIN_GAP)

    def _frames_to_look_at(self, wanted: Sequence[int], most: int) -> list[int]:
        """Frames where a look into the gaps of the wanted entities is worth it."""
        worths: list[Worth] = []
        for entity in wanted:
            held = frames_of(self.nodes, self.owners, entity)
            chance = self._chances(held)
            worths += [
                worth_of_looks(gap, self.search.found.keys(), chance, is_whole=not held)
                for gap in self._gaps(entity)
            ]
        if self.search.calls >= _FREE_LOOKS and self._to_win(worths) < self.config.min_gain:
            return []
        return frames_to_look_at(worths, most)

    def _to_win(self, worths: Sequence[Worth]) -> float:
        """Share of all the masks asked for that looks may still win."""
        return sum(map(len, worths)) / (len(self.entities) * len(self.order))

    def _chances(self, held: dict[int, int]) -> Callable[[int], float]:
        """Of seeing an entity with these masks on a frame; of one without any, nothing is known."""
        if not held:
            return lambda _: 1.0
        main = main_track(self.nodes, held)
        return lambda frame: self.glimpses.chance(self.tracks, main, frame)

    # track

    def _track(self, boxes: Sequence[Detection]) -> None:
        for one in track_boxes(self.perception, self.footage, boxes):
            self.tracks.append(one)
            self.small.add(one)
            self.doubtful.append(self.looks.doubtful(one))
        self.anchors += bool(boxes)

    # assign

    def assign(self) -> None:
        """Match all tracks with all entities, on evidence from frames that serve every tracklet."""
        nodes = put_together(self.small, cut(self.small, self.doubtful))
        self.nodes = [one for one in nodes if not _is_doubtful(one, self.doubtful) or self._boxes_on(one)]
        self._ask(evidence_frames(self.nodes, per_node=_EVIDENCE_PER_NODE, most=_EVIDENCE_FRAMES))
        self.scores = self._node_scores()
        self.unclear = ambiguous(
            self.nodes, self.scores, partial(are_apart, self.small), self.config.min_match
        )
        self.scores[:, self.unclear] = np.nan
        owners = associate(self.nodes, self.scores, links(self.nodes), self.config.min_match)
        self.owners = keep_together(self.nodes, owners, self.scores)

    def _boxes_on(self, node: Node) -> list[Detection]:
        """Boxes that lie where the node is, on the frames that the detector looked at."""
        return [
            box
            for frame in sorted(node.frames & self.search.found.keys())
            if (here := tight_box(self.tracks[node.track_on(frame)].masks[self.footage.sampled[frame]]))
            for box in self.search.found[frame]
            if box_iou(box.box, here) >= _LIES_ON and max(box.noun_scores) >= NAMES
        ]

    def _ask(self, frames: Sequence[int]) -> None:
        for frame in frames:
            new = [
                place
                for place, one in enumerate(self.tracks)
                if (frame, place) not in self.answers and one.masks[self.footage.sampled[frame]].any()
            ]
            if new:
                shown = [self.tracks[place] for place in new]
                answers = self.perception.scores(self.footage, shown, self.entities, [frame])[0]
                self.answers |= {(frame, place): answers[:, i] for i, place in enumerate(new)}
                self.questions += len(self.entities)

    def _node_scores(self) -> NDArray[np.float64]:
        scores = np.full((len(self.nodes), len(self.entities)), np.nan)
        for place, node in enumerate(self.nodes):
            seen = [
                self.answers[frame, part.track]
                for part in node.parts
                for frame in part.frames
                if (frame, part.track) in self.answers
            ]
            if seen:
                scores[place] = np.mean(seen, axis=0) - _WRONG_NOUN * self._strangeness(node)
        return scores

    def _strangeness(self, node: Node) -> NDArray[np.float64]:
        """(E,) how clearly the detector names the node something else than each entity, 0..1."""
        named = [self.search.named[box] for box in self._boxes_on(node)]
        if not named:
            return np.zeros(len(self.entities))
        own = np.array([[names[entity.noun] for entity in self.entities] for names in named])
        best = np.array([max(names.values()) for names in named])
        return np.asarray(1 - np.mean(own / np.maximum(best, 1e-6)[:, None], axis=0))

    # what came of it

    def found(self) -> list[Found]:
        """One composed track per entity that evidence speaks for."""
        result = []
        for entity in range(len(self.entities)):
            held = frames_of(self.nodes, self.owners, entity)
            if held:
                score, margin = self._score(entity, held)
                if score >= self.config.min_match:
                    result.append(
                        Found(entity=entity, track=self._composed(held), score=score, margin=margin)
                    )
        return result

    def _score(self, entity: int, held: dict[int, int]) -> tuple[float, float | None]:
        """Mean match over the frames held, and how far it is above that of any other node."""
        own = np.array([self.scores[node, entity] for node in held.values()])
        score = float(np.nanmean(own)) if not np.isnan(own).all() else 0.0
        rivals = np.delete(self.scores[:, entity], sorted(set(held.values())))
        rivals = rivals[~np.isnan(rivals)]
        return score, float(score - rivals.max()) if len(rivals) else None

    def _composed(self, held: dict[int, int]) -> Track:
        """Masks of an entity's nodes, each over the working frames from its own to the next sampled frame."""
        main = self.tracks[main_track(self.nodes, held)]
        masks = np.zeros_like(main.masks)
        ends = [*self.footage.sampled[1:], len(masks)]
        for frame, node in held.items():
            stretch = slice(int(self.footage.sampled[frame]), int(ends[frame]))
            masks[stretch] = self.tracks[self.nodes[node].track_on(frame)].masks[stretch]
        return replace(main, masks=masks, presence=None)  # each node's own says nothing of the others


def _is_doubtful(node: Node, doubtful: Sequence[NDArray[np.bool_]]) -> bool:
    return all(doubtful[part.track][part.start] for part in node.parts)


def _batches(largest: int) -> Iterator[int]:
    """1, 1, 2, 4, ... up to `largest`, for ever."""
    yield 1
    size = 1
    while True:
        yield size
        size = min(2 * size, largest)
