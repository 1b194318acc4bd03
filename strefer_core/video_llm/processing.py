"""From samples to tensors: words and placeholders, labels, cells of masks, several questions in one row."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from strefer_core import masks
from strefer_core.data_model import FRAME_COUNT, Rle
from strefer_core.errors import InputError
from strefer_core.video_llm.configuration import RegionMerge
from strefer_core.video_llm.frames import Footage
from strefer_core.video_llm.samples import Region, Sample
from strefer_core.video_llm.times import Clock, TimeMode, say
from strefer_core.video_llm.tokens import IMAGE_TOKEN, REGION_TOKEN

RegionMode = Literal["connector", "som", "none"]
REGION_MODES: tuple[RegionMode, ...] = get_args(RegionMode)

_IGNORED = -100
_ASPECT_TOLERANCE = 0.03
_NO_WORD = (-1, -1)
SETTINGS_FILE = "strefer_processor.json"

Cells = NDArray[np.bool_]  # (frames, patches): the cells that a mask touches


class ChatFormat(BaseModel):
    """What stands around questions and answers. The first question's opening comes before the video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opening: str = ""
    question_end: str = "\n"  # and the answer's opening
    answer_end: str  # is learned with the answer, and ends generation
    next_opening: str = ""


class ProcessorSettings(BaseModel):
    """All that a processor knows besides its tokenizer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int
    patches_per_side: int
    visual_tokens: int
    region_tokens: int
    region_merge: RegionMerge = "similar"
    region_motion: bool = False
    frames: int = FRAME_COUNT
    interval_pooling: bool = False
    """Regions of a question about an interval are those of its frames: pooled over time, too."""
    word_regions: bool = False
    """A question that points at no region gets one from its words: see `connector.WordPooling`."""
    region_mode: RegionMode = "connector"
    time_mode: TimeMode = "31"
    chat: ChatFormat


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """One sample in numbers; `ids[:prefix]` are the same for all samples on the same pictures."""

    sample_id: str
    ids: list[int]
    labels: list[int]
    prefix: int
    pictures: NDArray[np.uint8]  # (F, 3, S, S)
    fractions: list[float]
    key: Hashable  # same key, same pictures
    regions: list[Cells] = field(default_factory=list)
    words: list[list[tuple[int, int]]] = field(default_factory=list)
    """Per region what points at it in words, each token with the one before it; empty for one of masks."""


class VideoLlmProcessor:
    """Tokenizer and settings; `save_pretrained` and `from_pretrained` with JSON files alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: ProcessorSettings) -> None:
        self.tokenizer = tokenizer
        self.settings = settings
        self._added = frozenset(tokenizer.get_added_vocab().values())

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> VideoLlmProcessor:
        """Read a saved processor. Raises InputError where the folder holds none."""
        path = Path(folder) / SETTINGS_FILE
        try:
            settings = ProcessorSettings.model_validate_json(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} holds no Video LLM: {SETTINGS_FILE}: {error}") from error
        return cls(AutoTokenizer.from_pretrained(folder, local_files_only=True), settings)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write settings and tokenizer."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        text = json.dumps(self.settings.model_dump(mode="json"), indent=2) + "\n"
        (Path(folder) / SETTINGS_FILE).write_text(text, "utf-8")

    # --- one sample -----------------------------------------------------------------------------------------

    def encode(self, sample: Sample, footage: Footage, *, answer: str | None = None) -> Encoded:
        """A sample in numbers.

        Args:
            sample: with all its answers, or the last one empty: then the row ends where that answer begins.
            footage: of the sample's video.
            answer: stands in for the last answer.

        Raises:
            InputError: regions and `<region>` differ in number, or a mask does not fit the video.
        """
        turns = list(sample.turns)
        if answer is not None:
            turns[-1] = (turns[-1][0], answer)
        if sum(text.count(REGION_TOKEN) for turn in turns for text in turn) != len(sample.regions):
            raise InputError(
                f"{sample.sample_id}: {len(sample.regions)} regions for other than as many <region>"
            )
        interval = self._interval(turns, sample, footage.clock)
        turns, asked_of = self._pointing(turns, sample)
        regions = [self._cells(region, footage, sample.sample_id, interval) for region in asked_of]
        told = self._told(turns, sample, footage.clock, [self._count(cells) for cells in regions])
        chat = self.settings.chat
        ids = self._ids(chat.opening) + [self._id(IMAGE_TOKEN)] * self.settings.visual_tokens
        labels, prefix, words = [_IGNORED] * len(ids), len(ids), list[list[tuple[int, int]]]()
        for place, (question, reply) in enumerate(told):
            asked = self._ids(("\n" if not place else chat.next_opening) + question + chat.question_end)
            said = self._ids(reply + chat.answer_end) if reply else []
            before = ids[-1:] if place else []
            words.append([pair for pair in pairwise(before + asked) if pair[1] not in self._added])
            ids += asked + said
            labels += [_IGNORED] * len(asked) + said
        pictures, key = self._pictures(sample, footage)
        takes = self.settings.region_mode == "connector"
        return Encoded(
            sample_id=sample.sample_id,
            ids=ids,
            labels=labels,
            prefix=prefix,
            pictures=pictures,
            fractions=footage.clock.fractions(),
            key=key,
            regions=regions if takes else [],
            words=[words[one] if isinstance(one, int) else [] for one in asked_of] if takes else [],
        )

    def _pointing(
        self, turns: Sequence[tuple[str, str]], sample: Sample
    ) -> tuple[list[tuple[str, str]], list[Region | int]]:
        """The turns, and their regions in order; where a question points at none, its own number stands for
        the one that its words point at."""
        if not self.settings.word_regions or self.settings.region_mode != "connector":
            return [*turns], [*sample.regions]
        left, done, regions = [*sample.regions], list[tuple[str, str]](), list[Region | int]()
        for place, (question, reply) in enumerate(turns):
            count = (question + reply).count(REGION_TOKEN)
            if REGION_TOKEN not in question:
                question += REGION_TOKEN
                regions.append(place)
            regions += left[:count]
            left = left[count:]
            done.append((question, reply))
        return done, regions + left

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _id(self, token: str) -> int:
        found = self.tokenizer.convert_tokens_to_ids(token)
        assert isinstance(found, int)
        return found

    def _count(self, cells: Cells) -> int:
        """Tokens that the region becomes; as `connector.merge_adjacent` or `merge_evenly` counts."""
        shown, most = np.flatnonzero(cells.any(1)), self.settings.region_tokens
        count = min(most, len(shown))
        if self.settings.region_merge == "even":
            count = len(np.unique(shown * most // self.settings.frames))
        return max(1, count) * (2 if self.settings.region_motion else 1)

    def _told(
        self, turns: Sequence[tuple[str, str]], sample: Sample, clock: Clock, counts: Sequence[int]
    ) -> list[tuple[str, str]]:
        """The turns with times and regions as this model reads and writes them."""
        words = self._region_words(counts)
        texts = [text for turn in turns for text in turn]
        done = [self._in_words(text, sample, clock, words) for text in texts]
        return list(zip(done[::2], done[1::2], strict=True))

    def _region_words(self, counts: Sequence[int]) -> list[str]:
        """What stands for each region, last one first: taken from the end."""
        words = {
            "connector": [REGION_TOKEN * count for count in counts],
            "som": [f"thing marked {place + 1}" for place in range(len(counts))],
            "none": ["thing"] * len(counts),
        }[self.settings.region_mode]
        return words[::-1]

    def _in_words(self, text: str, sample: Sample, clock: Clock, words: list[str]) -> str:
        for placeholder, time_s in (("<start_time>", sample.start_s), ("<end_time>", sample.end_s)):
            if placeholder in text:
                if time_s is None:
                    raise InputError(f"{sample.sample_id}: {placeholder} without its value")
                text = text.replace(placeholder, say(time_s, clock, self.settings.time_mode))
        first, *rest = text.split(REGION_TOKEN)
        return first + "".join(words.pop() + part for part in rest)

    # --- pictures and masks ---------------------------------------------------------------------------------

    def _interval(
        self, turns: Sequence[tuple[str, str]], sample: Sample, clock: Clock
    ) -> tuple[float, float]:
        """The interval that questions are about; all of the video where an answer must find it."""
        first = next((n for n, text in enumerate(t for turn in turns for t in turn) if "_time>" in text), 1)
        is_asked = self.settings.interval_pooling and first % 2 == 0
        if not is_asked or sample.start_s is None or sample.end_s is None:
            return 0.0, math.inf
        return sample.start_s / clock.duration_s, sample.end_s / clock.duration_s

    def _cells(
        self, region: Region | int, footage: Footage, where: str, interval: tuple[float, float]
    ) -> Cells:
        cells = np.zeros((self.settings.frames, self.settings.patches_per_side**2), bool)
        if isinstance(region, int):
            times = np.array(footage.clock.fractions())
            cells[(interval[0] <= times) & (times < interval[1])] = True
            return cells
        for frame, rle in region.items():
            if not 0 <= frame < self.settings.frames:
                raise InputError(f"{where}: a mask on frame {frame} of {self.settings.frames}")
            _check_aspect(rle["size"], footage.size_px, where)
            if interval[0] <= footage.clock.fractions()[frame] < interval[1]:
                cells[frame] = region_cells(rle, self.settings.patches_per_side)
        return cells

    def _pictures(self, sample: Sample, footage: Footage) -> tuple[NDArray[np.uint8], Hashable]:
        """The frames, drawn on where the mode wants it, and what tells them from other frames."""
        key: Hashable = footage.video_id
        pictures = footage.pictures
        if self.settings.region_mode == "som" and sample.regions:
            pictures = _marked(pictures, sample.regions)
            key = (key, tuple(tuple((k, r["counts"]) for k, r in one.items()) for one in sample.regions))
        if self.settings.time_mode == "number":
            pictures = _numbered(pictures)
        return pictures, key

    # --- many samples ---------------------------------------------------------------------------------------

    def pack(self, samples: Sequence[Encoded], *, most_tokens: int = 0) -> dict[str, Tensor]:
        """Samples as one batch; those on the same pictures share the pictures' tokens.

        Args:
            samples: at least one.
            most_tokens: videos share rows of up to so many tokens; 0: a row for each video.

        Returns:
            Arguments of `VideoLlm.forward`: `input_ids`, `labels`, `position_ids`, `videos`, `questions`
            (B, L); `pixel_values` (V, F, 3, S, S) uint8, `frame_fractions` (V, F), `region_cells` (N, F, P),
            `region_videos` (N,), `region_words` (N, T, 2).
        """
        return self.tensors(self.rows(samples, most_tokens))

    def rows(self, samples: Sequence[Encoded], most_tokens: int = 0) -> list[list[list[Encoded]]]:
        """Rows of pieces of samples on the same pictures; arguments as of `pack`."""
        pieces: dict[Hashable, list[Encoded]] = {}
        for one in samples:
            pieces.setdefault(one.key, []).append(one)
        return _rows([*pieces.values()], most_tokens)

    def tensors(self, rows: Sequence[Sequence[Sequence[Encoded]]]) -> dict[str, Tensor]:
        """What `pack` returns of rows that are laid out."""
        names = ("input_ids", "labels", "position_ids", "videos", "questions")
        fill = dict(zip(names, (self.tokenizer.pad_token_id, _IGNORED, 0, -1, 0), strict=True))
        columns: dict[str, list[list[Any]]] = {name: [] for name in names}
        number = 0
        for row in rows:
            line: dict[str, list[Any]] = {name: [] for name in names}
            for piece in row:
                _write_piece(line, piece, number)
                number += 1
            for name in names:
                columns[name].append(line[name])
        longest = max(len(line) for line in columns["input_ids"])
        batch = {
            name: torch.tensor([line + [fill[name]] * (longest - len(line)) for line in columns[name]])
            for name in names
        }
        return {**batch, **self.seen([[*piece] for row in rows for piece in row])}

    def seen(self, pieces: Sequence[Sequence[Encoded]]) -> dict[str, Tensor]:
        """Arguments of `VideoLlm.embed` besides the tokens; the samples of a piece share their pictures."""
        regions = [(cells, n) for n, piece in enumerate(pieces) for one in piece for cells in one.regions]
        empty = np.zeros((0, self.settings.frames, self.settings.patches_per_side**2), bool)
        cells = np.stack([one for one, _ in regions]) if regions else empty
        words = [words for piece in pieces for one in piece for words in one.words]
        longest = max(map(len, words), default=0)
        filled = [own + [_NO_WORD] * (longest - len(own)) for own in words]
        return {
            "pixel_values": torch.from_numpy(np.stack([piece[0].pictures for piece in pieces])),
            "frame_fractions": torch.tensor([piece[0].fractions for piece in pieces], dtype=torch.float32),
            "region_cells": torch.from_numpy(cells),
            "region_videos": torch.tensor([number for _, number in regions], dtype=torch.long),
            "region_words": torch.tensor(filled, dtype=torch.long).reshape(len(regions), longest, 2),
        }


def _write_piece(line: dict[str, list[Any]], piece: Sequence[Encoded], number: int) -> None:
    """One video's tokens, then its questions, each of which counts its places on from the video."""
    prefix = piece[0].prefix
    parts = [(0, piece[0], slice(0, prefix))]
    parts += [(place + 1, one, slice(prefix, None)) for place, one in enumerate(piece)]
    for question, one, some in parts:
        ids, start = one.ids[some], some.start
        line["input_ids"] += ids
        line["labels"] += one.labels[some]
        line["position_ids"] += range(start, start + len(ids))
        line["videos"] += [number] * len(ids)
        line["questions"] += [question] * len(ids)


def _rows(pieces: list[list[Encoded]], most_tokens: int) -> list[list[list[Encoded]]]:
    """First fit, the longest first; one row each where there is no bound."""
    if not most_tokens:
        return [[piece] for piece in pieces]
    rows: list[tuple[int, list[list[Encoded]]]] = []
    for piece in sorted(pieces, key=_length, reverse=True):
        for place, (length, row) in enumerate(rows):
            if length + _length(piece) <= most_tokens:
                rows[place] = (length + _length(piece), [*row, piece])
                break
        else:
            rows.append((_length(piece), [piece]))
    return [row for _, row in rows]


def _length(piece: Sequence[Encoded]) -> int:
    return piece[0].prefix + sum(len(one.ids) - one.prefix for one in piece)


def touched_cells(mask: masks.Mask, side: int) -> NDArray[np.bool_]:
    """(side, side) bool: which cells of a square grid over the picture a mask (H, W) touches."""
    rows = np.logical_or.reduceat(mask, _starts(mask.shape[0], side), axis=0)
    ends = _ends(mask.shape[0], side)
    rows |= mask[ends]  # a pixel across the border of two cells touches both
    cells = np.logical_or.reduceat(rows, _starts(mask.shape[1], side), axis=1)
    return cells | rows[:, _ends(mask.shape[1], side)]


def _starts(length: int, side: int) -> NDArray[np.int64]:
    """First pixel of each cell, also where it is cut."""
    return np.arange(side) * length // side


def _ends(length: int, side: int) -> NDArray[np.int64]:
    """Last pixel of each cell, also where it is cut."""
    return (np.arange(1, side + 1) * length - 1) // side


def region_cells(rle: Rle, side: int) -> NDArray[np.bool_]:
    """`touched_cells` of an encoded mask, flat: (side^2,). A video's pairs share their masks: cached."""
    height, width = rle["size"]
    return _touched(rle["counts"], height, width, side)


@lru_cache(maxsize=200_000)
def _touched(counts: str, height: int, width: int, side: int) -> NDArray[np.bool_]:
    mask = masks.decode(Rle(size=[height, width], counts=counts))
    return touched_cells(mask, side).ravel()


def _check_aspect(size: Sequence[int], video_px: tuple[int, int], where: str) -> None:
    ratio = (size[0] * video_px[1]) / (size[1] * video_px[0])
    if abs(ratio - 1) > _ASPECT_TOLERANCE:
        shapes = f"{size[1]} x {size[0]} on a video of {video_px[1]} x {video_px[0]}"
        raise InputError(f"{where}: a mask of {shapes}: another aspect, so it belongs to other pictures")


def _marked(pictures: NDArray[np.uint8], regions: Sequence[Region]) -> NDArray[np.uint8]:
    from strefer_core.visual_prompts import mark_regions

    done = []
    for frame, picture in enumerate(pictures):
        shown = [masks.decode(one[frame]) if frame in one else None for one in regions]
        side = picture.shape[1]
        filled = [np.zeros((side, side), bool) if mask is None else mask for mask in shown]
        done.append(mark_regions(np.ascontiguousarray(picture.transpose(1, 2, 0)), filled))
    return np.stack(done).transpose(0, 3, 1, 2)


def _numbered(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from strefer_core.visual_prompts import number_frames

    return np.stack(number_frames(list(pictures.transpose(0, 2, 3, 1)))).transpose(0, 3, 1, 2)


def on_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The same tensors on a device."""
    return {name: value.to(device) for name, value in batch.items()}
