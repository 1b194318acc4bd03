"""The backend object: one analysis of a video's footage serves recogniser, detector, tracker and assigner."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical.attributes import person_score, shape_of
from strefer_core.backends.classical.discovery import both_ways, discover
from strefer_core.backends.classical.frames import Frames
from strefer_core.backends.classical.looks import look_at
from strefer_core.backends.classical.matching import match_scores, noun_score
from strefer_core.backends.classical.regions import Region, mask_in_box, regions
from strefer_core.backends.classical.scene import analyse
from strefer_core.backends.classical.tracking import propagate
from strefer_core.backends.classical.words import describe
from strefer_core.backends.interfaces import Detection, EntityDescription, Footage, Masks, Track


class ClassicalPerception:
    """EntityRecognizer, Detector, Tracker and Assigner (see `backends.interfaces`) in plain OpenCV.

    Deterministic. Keeps the analysis of the last footage, since the stages that follow each other on a
    worker often look at the same video; results do not depend on it.
    """

    def __init__(self) -> None:
        self._last: tuple[str, Frames] | None = None

    def recognize(self, footage: Footage, max_entities: int) -> list[EntityDescription]:
        """Moving things in words, best first; none that cannot be told apart."""
        things = discover(self._frames(footage))
        words = describe([thing.look for thing in things])
        return [description for description in words if description][:max_entities]

    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        """Moving regions of the asked sampled frames, with a score per noun."""
        frames = self._frames(footage)
        return [
            [
                _detection(footage, index, region, nouns)
                for region in regions(frames.scene, int(footage.sampled[index]))
            ]
            for index in frame_indices
        ]

    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        """Masks over all working frames; tracked together, so that touching things share no pixel."""
        frames = self._frames(footage)
        starts = []
        for detection in detections:
            t = int(footage.sampled[detection.frame_index])
            starts.append((t, mask_in_box(footage.images[t], frames.scene.foreground[t], detection.box)))
        tracks = both_ways(frames, starts)
        agreements = _agreements(frames, [t for t, _ in starts], tracks)
        return [
            Track(detection=detection, masks=masks, forward_backward_iou=agreement)
            for detection, masks, agreement in zip(detections, tracks, agreements, strict=True)
        ]

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        """(frames, entities, tracks) match scores, 0..1, from words and what the whole track shows."""
        frames = self._frames(footage)
        looks = [look_at(footage, frames.scene, track.masks) for track in tracks]
        scores = np.repeat(match_scores(looks, entities)[None], len(frame_indices), axis=0)
        for place, index in enumerate(frame_indices):
            t = footage.sampled[index]
            scores[place][:, [not track.masks[t].any() for track in tracks]] = np.nan
        return scores

    def _frames(self, footage: Footage) -> Frames:
        key = _digest(footage)
        if self._last is None or self._last[0] != key:
            cv2.setRNGSeed(0)  # RANSAC draws from it
            self._last = None  # free the old one before the new one is made
            self._last = key, Frames(footage, analyse(footage))
        return self._last[1]


def _digest(footage: Footage) -> str:
    digest = hashlib.blake2b(repr(footage.images.shape).encode(), digest_size=16)
    for part in (footage.images, footage.pts_s, footage.sampled):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _detection(footage: Footage, index: int, region: Region, nouns: Sequence[str]) -> Detection:
    shape = shape_of(region.mask)
    person = person_score(footage.images[region.t], region.mask) if "person" in nouns else 0.0
    found = noun_scores(shape, person, nouns)
    return Detection(frame_index=index, box=region.box, score=min(region.score, 1.0), noun_scores=found)


def noun_scores(shape: str | None, person: float, nouns: Sequence[str]) -> tuple[float, ...]:
    """One score per noun for a thing with this outline and HOG's opinion."""
    return tuple(noun_score(noun, {shape: 1.0} if shape else {}, person) for noun in nouns)


def _agreements(frames: Frames, starts: Sequence[int], tracks: Sequence[Masks]) -> list[float | None]:
    """Mean mask IoU of each track with its re-tracking from both of its ends back to where it began.

    Counted on sampled frames other than the start and the ends, where either of the two is visible;
    None where there is no such frame.
    """
    overlaps: list[list[float]] = [[] for _ in tracks]
    for step in (1, -1):
        ends = [_last_visible(masks, start, step) for masks, start in zip(tracks, starts, strict=True)]
        back = propagate(frames, [(end, masks[end]) for end, masks in zip(ends, tracks, strict=True)], -step)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            for t in frames.footage.sampled:
                if min(start, end) < t < max(start, end):
                    a, b = tracks[number][t], back[number][t]
                    either = int((a | b).sum())
                    if either:
                        overlaps[number].append(int((a & b).sum()) / either)
    return [float(np.mean(values)) if values else None for values in overlaps]


def _last_visible(masks: Masks, start: int, step: int) -> int:
    seen = np.flatnonzero(masks.any(axis=(1, 2)))
    seen = seen[seen * step >= start * step]
    if not len(seen):
        return start
    return int(seen[-1] if step > 0 else seen[0])
