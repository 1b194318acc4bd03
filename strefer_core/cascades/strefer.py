"""Our cascade: looks on where something is missing, and lets evidence from many frames decide who is who.

Against the paper's (arXiv 2509.03501): a frame is full when every noun has its wanted count; entities that
are still without a track, or lose it, get further anchor frames; tracks are cut where they may have gone
wrong and the pieces are matched with the expressions anew, so that one switch, one loss or one wrong answer
spoils a stretch and not the entity; what no evidence speaks for stays without a masklet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.cascades.anchors import best_anchor, fresh_boxes, is_full
from strefer_core.cascades.association import (
    associate,
    evidence_frames,
    frames_of,
    links,
    main_track,
)
from strefer_core.cascades.outcome import Found, Outcome, Perception
from strefer_core.cascades.steps import Search, sample, suppress, track_boxes
from strefer_core.cascades.tracklets import Node, SmallMasks, cut, put_together
from strefer_core.config import MaskletsConfig

_DUPLICATE_IOU = 0.7  # of boxes of one frame from which they are one thing
_MIN_GAP = 4  # sampled frames without a mask that are worth a look
_LOOKS_PER_GAP = 2
_LOOKS_FOR_MISSING = 16  # frames in all that are looked at for an entity without any track
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
        self.search = Search(self.perception, self.footage, self.entities, min_score=self.config.min_score)
        self.order = sample(len(self.footage.sampled))
        self.answers: dict[tuple[int, int], NDArray[np.float64]] = {}  # by frame and track: (E,)
        self.scores = np.zeros((0, len(self.entities)))
        self.counts = self._counts(range(len(self.entities)))

    # sample and detect

    def find_first_anchor(self) -> None:
        """Look at frames, middle first, until one is full; track what fills the best one."""
        batch = self.config.detection_batch
        for start in range(0, len(self.order), batch):
            self.search.look(self.order[start : start + batch])
            if any(is_full(boxes, self.counts) for boxes in self._boxes().values()):
                break
        self._track(self._anchor(self._boxes(), self.counts))

    def find_further_anchor(self) -> bool:
        """Track what is new on the frames looked at, or look at more frames where something is missing."""
        while True:
            wanted = self._missing()
            counts = self._counts(wanted)
            fresh = {
                index: fresh_boxes(self.footage, boxes, self.tracks) for index, boxes in self._boxes().items()
            }
            anchor = self._anchor(fresh, counts)
            if anchor:
                self._track(anchor)
                return True
            more = self._frames_to_look_at(wanted)
            if not more:
                return False
            self.search.look(more)

    def _boxes(self) -> dict[int, list[Detection]]:
        return {index: suppress(boxes, _DUPLICATE_IOU) for index, boxes in self.search.found.items()}

    def _anchor(self, found: dict[int, list[Detection]], counts: Sequence[int]) -> list[Detection]:
        return best_anchor(self.footage, found, counts)

    def _counts(self, wanted: Sequence[int]) -> list[int]:
        names = Counter(self.entities[place].generalized_noun for place in wanted)
        return [names[noun] for noun in self.search.nouns]

    def _missing(self) -> list[int]:
        """Entities without a mask on some stretch that is long enough to matter."""
        return [place for place in range(len(self.entities)) if self._gaps(place)]

    def _gaps(self, entity: int) -> list[range]:
        held = frames_of(self.nodes, self.owners, entity)
        count = len(self.footage.sampled)
        edges = [-1, *sorted(held), count]
        return [range(a + 1, b) for a, b in pairwise(edges) if b - a - 1 >= _MIN_GAP]

    def _frames_to_look_at(self, wanted: Sequence[int]) -> list[int]:
        """For each entity the next frame, middle first, of its gaps that have not been looked at enough."""
        chosen: list[int] = []
        for entity in wanted:
            for gap in self._gaps(entity):
                looks = sum(index in self.search.found or index in chosen for index in gap)
                enough = _LOOKS_FOR_MISSING if len(gap) == len(self.order) else _LOOKS_PER_GAP
                new = [index for index in self.order if index in gap and index not in self.search.found]
                if looks < enough and new and new[0] not in chosen:
                    chosen.append(new[0])
        return chosen[: self.config.detection_batch]

    # track

    def _track(self, boxes: Sequence[Detection]) -> None:
        self.tracks += track_boxes(self.perception, self.footage, boxes)
        self.anchors += bool(boxes)

    # assign

    def assign(self) -> None:
        """Match all tracks with all entities, on evidence from frames that serve every tracklet."""
        small = SmallMasks(self.footage, self.tracks)
        self.nodes = put_together(small, cut(small))
        frames = evidence_frames(self.nodes, per_node=_EVIDENCE_PER_NODE, most=_EVIDENCE_FRAMES)
        self._ask(frames)
        self.scores = self._node_scores()
        self.owners = associate(self.nodes, self.scores, links(self.nodes), self.config.min_match)

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
                scores[place] = np.mean(seen, axis=0)
        return scores

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
        return replace(main, masks=masks)
