"""The backend object: one analysis of a video's footage serves recogniser, detector, tracker and assigner."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical.alike import alike_share, taken_by
from strefer_core.backends.classical.detection import find_boxes
from strefer_core.backends.classical.discovery import Thing, both_ways, discover
from strefer_core.backends.classical.frames import Frames
from strefer_core.backends.classical.looks import Album, Look
from strefer_core.backends.classical.matching import match_scores
from strefer_core.backends.classical.scene import analyse
from strefer_core.backends.classical.starts import meet, rivals_of, starts_of
from strefer_core.backends.classical.tracking import propagate
from strefer_core.backends.classical.words import describe, noun_of
from strefer_core.backends.interfaces import Detection, EntityDescription, Footage, Masks, Track
from strefer_core.config import EntitiesConfig

_EVIDENCE_FRAMES = 2  # sampled frames before and after one that help to see what it shows


class ClassicalPerception:
    """EntityRecognizer, Detector, Tracker and Assigner (see `backends.interfaces`) in plain OpenCV.

    Deterministic. Keeps the analysis of the last footage, since the stages that follow each other on a
    worker often look at the same video; results do not depend on it.
    """

    def __init__(self) -> None:
        self._key = ""
        self._last: Frames | None = None
        self._albums: dict[int, tuple[Masks, Album]] = {}

    def recognize(self, footage: Footage, config: EntitiesConfig) -> list[EntityDescription]:
        """Moving things in words, best first; none that cannot be told apart."""
        things = discover(self._frames(footage))
        words = describe([thing.look for thing in things], _doubled(footage, things))
        return [description for description in words if description][: config.max_entities]

    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        """Moving regions and people of the asked sampled frames, with a score per noun."""
        frames = self._frames(footage)
        return [find_boxes(frames, index, nouns) for index in frame_indices]

    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        """Masks over all working frames; tracked together, so that touching things share no pixel.

        What else moves on the frames of the detections is tracked along, so that it is not swallowed.
        """
        frames = self._frames(footage)
        wanted = starts_of(frames, detections)
        starts = wanted + rivals_of(frames, wanted)
        tracks = both_ways(frames, starts)
        own, rivals = tracks[: len(wanted)], tracks[len(wanted) :]
        met = [place for place, rival in enumerate(rivals) if any(meet(frames, rival, one) for one in own)]
        begun = [t for t, _ in wanted] + [starts[len(wanted) + place][0] for place in met]
        agreements = _agreements(frames, begun, own + [rivals[place] for place in met])
        return [
            Track(detection=detection, masks=masks, forward_backward_iou=agreement)
            for detection, masks, agreement in zip(detections, own, agreements, strict=False)
        ]

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        """(frames, entities, tracks) match scores, 0..1: words against what tracks show around each frame."""
        frames = self._frames(footage)
        albums = [self._album(frames, track.masks) for track in tracks]
        result = np.full((len(frame_indices), len(entities), len(tracks)), np.nan)
        for place, index in enumerate(frame_indices):
            seen = [bool(track.masks[footage.sampled[index]].any()) for track in tracks]
            near = footage.sampled[max(index - _EVIDENCE_FRAMES, 0) : index + _EVIDENCE_FRAMES + 1]
            looks = [
                _look_near(album, near) if is_seen else None
                for album, is_seen in zip(albums, seen, strict=True)
            ]
            result[place][:, seen] = match_scores(looks, entities)[:, seen]
        return result

    def _album(self, frames: Frames, masks: Masks) -> Album:
        """Made once per array of masks, which is kept with it, so that its id stays its own."""
        if id(masks) not in self._albums:
            self._albums[id(masks)] = masks, Album(frames.footage, frames.scene, masks)
        return self._albums[id(masks)][1]

    def _frames(self, footage: Footage) -> Frames:
        if self._last is not None and self._last.footage is footage:
            return self._last
        key = _digest(footage)
        if self._last is None or self._key != key:
            cv2.setRNGSeed(0)  # RANSAC draws from it
            self._albums.clear()
            self._last = None  # free the old one before the new one is made
            self._key, self._last = key, Frames(footage, analyse(footage))
        return self._last


def _doubled(footage: Footage, things: Sequence[Thing]) -> list[bool]:
    """Whether each thing has a look-alike among what was not found."""
    if not things:
        return []
    masks = [thing.masks[footage.sampled] for thing in things]
    taken = taken_by(masks)
    return [
        bool(alike_share(footage, own, taken, thing.look.colour, noun_of(thing.look)[0]))
        for own, thing in zip(masks, things, strict=True)
    ]


def _look_near(album: Album, frames: NDArray[np.int64]) -> Look | None:
    """What a track shows around a frame: colours and pattern of these frames, which would tell a switched
    identity; outline and size of its whole life, which others may hide a part of here."""
    whole, here = album.look(), album.look([t for t in album.seen if t in frames])
    return replace(whole, colours=here.colours, patterns=here.patterns) if whole and here else None


def _digest(footage: Footage) -> str:
    digest = hashlib.blake2b(repr(footage.images.shape).encode(), digest_size=16)
    for part in (footage.images, footage.pts_s, footage.sampled):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


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
