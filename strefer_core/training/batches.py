"""The stream of batches that a trainer reads: encoded here, so that workers may do it beside the training."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from strefer_core.errors import InputError
from strefer_core.training.mixing import Mixture
from strefer_core.training.reading import Lines, Skipped, Videos
from strefer_core.video_llm.frames import FrameStore
from strefer_core.video_llm.processing import Encoded, VideoLlmProcessor
from strefer_core.video_llm.samples import Region, Sample

MaskFrames = Literal["one", "all"]
MASK_FRAMES: tuple[MaskFrames, ...] = get_args(MaskFrames)

Batch = dict[str, Tensor]


@dataclass
class Features:
    """Patch features of the videos that were shown last, in half precision: a frozen tower sees each once."""

    encode: Callable[[Tensor], Tensor]  # (1, F, 3, S, S) uint8 to (1, F, P, d)
    most_bytes: int = 2 * 2**30

    def __post_init__(self) -> None:
        self._held: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._bytes = 0

    @torch.no_grad()
    def of(self, one: Encoded) -> Tensor:
        """(F, P, d) of the sample's pictures."""
        if one.key not in self._held:
            found = self.encode(torch.from_numpy(one.pictures)[None])[0].half().cpu()
            self._held[one.key] = found
            self._bytes += found.nbytes
            while self._bytes > self.most_bytes and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1].nbytes
        self._held.move_to_end(one.key)
        return self._held[one.key]


@dataclass
class Batches(IterableDataset[Batch]):
    """Batches from a step on, epoch after epoch, for ever.

    Several processes (`share` of `shares`) and a loader's workers take turns; what a batch holds depends on
    the seed and its number alone.
    """

    sources: Sequence[Lines]
    videos: Mapping[int, Videos]  # by source
    store: FrameStore
    processor: VideoLlmProcessor
    mixture: Mixture
    mask_frames: MaskFrames
    most_tokens: int
    skipped: Skipped
    first: int = 0  # number of the batch to begin with
    share: int = 0
    shares: int = 1
    features: Features | None = None  # of a frozen vision tower: computed once per video
    opening: Mixture | None = None  # of the first `opening_batches`, in place of `mixture`
    opening_batches: int = 0
    _starts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._starts = np.cumsum([0, *(len(lines) for lines in self.sources)])

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        for number, records in self._numbered():
            turn, mine = divmod(number - self.first, self.shares)
            if mine == self.share and turn % workers == worker and (batch := self.batch(number, records)):
                yield batch

    def _numbered(self) -> Iterator[tuple[int, list[int]]]:
        """Batches by number from `first` on."""
        if self.opening is not None:
            opening = _endless(self.opening, self.first)
            yield from zip(range(self.first, self.opening_batches), opening, strict=False)
        start = max(self.first, self.opening_batches)
        yield from enumerate(_endless(self.mixture, start - self.opening_batches), start)

    def batch(self, number: int, records: Sequence[int]) -> Batch | None:
        """The tensors of some records; None where none of them can be used."""
        encoded = [one for record in records if (one := self._encoded(number, record))]
        if not encoded:
            return None
        rows = self.processor.rows(encoded, self.most_tokens)
        batch = self.processor.tensors(rows)
        if self.features is not None:
            pieces = [piece[0] for row in rows for piece in row]
            batch["patch_features"] = torch.stack([self.features.of(one) for one in pieces])
            del batch["pixel_values"]
        return batch

    def _encoded(self, number: int, record: int) -> Encoded | None:
        source = int(np.searchsorted(self._starts, record, side="right")) - 1
        self.skipped.tried += 1
        try:
            sample = self.sources[source].sample(record - int(self._starts[source]), self.videos[source])
            sample = self._thinned(sample, number)
            return self.processor.encode(sample, self.store.footage(sample.video))
        except InputError as error:  # UnreadableVideo is one
            self.skipped.note(_reason(error))
            return None

    def _thinned(self, sample: Sample, number: int) -> Sample:
        """With the masks of one frame, drawn anew each time, where training is to see no more."""
        if self.mask_frames == "all":
            return sample
        rng = np.random.default_rng([self.mixture.seed, number, zlib.crc32(sample.sample_id.encode())])
        return replace(sample, regions=tuple(_one_of(region, rng) for region in sample.regions))


def _endless(mixture: Mixture, first: int) -> Iterator[list[int]]:
    """Batches from one on. All epochs have as many as the first one, at most."""
    length = len(mixture.epoch(0))
    epoch, place = divmod(first, length)
    while True:
        plan = mixture.epoch(epoch)
        for place_now in range(place, length):
            yield plan[place_now % len(plan)]
        epoch, place = epoch + 1, 0


def _one_of(region: Region, rng: np.random.Generator) -> Region:
    if not region:
        return region
    frame = sorted(region)[int(rng.integers(len(region)))]
    return {frame: region[frame]}


def _reason(error: InputError) -> str:
    """Without the record's name, so that like ones are counted together."""
    return str(error).partition(": ")[2] or str(error)
