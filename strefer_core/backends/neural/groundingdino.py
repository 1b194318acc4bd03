"""Boxes by nouns: GroundingDINO (Liu et al., ECCV 2024, arXiv 2303.05499) through transformers.

What a box is follows from its scores over each noun's own tokens. The labels that the library makes of them
can name two nouns at once ("person dog"), half a noun or none; who compares these with what was asked for
loses boxes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Detection, Footage, Images
from strefer_core.backends.neural.checkpoint import loading, pretrained, pretrained_model
from strefer_core.backends.neural.devices import mixed
from strefer_core.backends.neural.pixels import Pixels
from strefer_core.backends.neural.prompts import Marks, Prompt, prompts_of
from strefer_core.errors import ConfigError
from strefer_core.warm.memory import in_batches

if TYPE_CHECKING:
    import torch

_MIN_SCORE = 0.05  # weaker boxes are not worth handing over: no cascade asks for them
_SAME_BOX_IOU = 0.7  # from which boxes of two prompts are one thing
_KEPT_PROMPTS = 64


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model says to one prompt about one frame."""

    boxes: NDArray[np.float64]  # (Q, 4) xyxy, working pixels, half-open
    scores: NDArray[np.float64]  # (Q, nouns asked for), 0..1; 0 for nouns of other prompts


class GroundingDino(ABC):
    """Detector over any implementation of the model: `forward` is what they differ in.

    Args:
        tokenizer: of the text encoder.
        pixels: how frames are prepared.
        max_tokens: of one text.
        device: where the model is.
        dtype: in which it computes.
        batch: most frames at a time.
    """

    def __init__(
        self, *, tokenizer: Any, pixels: Pixels, max_tokens: int, device: str, dtype: torch.dtype, batch: int
    ) -> None:
        self._tokenizer, self._pixels, self._max_tokens = tokenizer, pixels, max_tokens
        self._device, self._dtype, self._batch = device, dtype, batch
        self._prompts: dict[tuple[str, ...], list[Prompt]] = {}

    @abstractmethod
    def forward(self, pixels: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One text asked of every picture.

        Args:
            pixels: (B, 3, height, width) float32.
            ids: (L,) int64, the text.

        Returns:
            Logits (B, Q, L or more), boxes (B, Q, 4) as centre and size, 0..1.
        """

    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        """See `interfaces.Detector`. Boxes of a frame are sorted by score; they may overlap.

        Raises:
            ConfigError: the scores are no numbers, for which the precision is too low.
            TooLargeForDevice: one frame by itself does not fit into the device's memory.
        """
        images = [footage.images[footage.sampled[index]] for index in frame_indices]
        asked = [self._ask(images, prompt, len(nouns)) for prompt in self.prompts(nouns)]
        answers = [merged([answer[place] for answer in asked], len(nouns)) for place in range(len(images))]
        return [_detections(index, answer) for index, answer in zip(frame_indices, answers, strict=True)]

    def prompts(self, nouns: Sequence[str]) -> list[Prompt]:
        """The texts that ask for these nouns; made once for each set of them."""
        key = tuple(nouns)
        if key not in self._prompts:
            if len(self._prompts) >= _KEPT_PROMPTS:
                self._prompts.clear()
            self._prompts[key] = prompts_of(nouns, self._tokens_of, self._marks(), self._max_tokens)
        return self._prompts[key]

    def _tokens_of(self, noun: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(noun.lower(), add_special_tokens=False, truncation=False)
        return tokens

    def _marks(self) -> Marks:
        stop, question = self._tokenizer.convert_tokens_to_ids([".", "?"])
        return Marks(
            start=self._tokenizer.cls_token_id,
            end=self._tokenizer.sep_token_id,
            stop=stop,
            special={stop, question, *self._tokenizer.all_special_ids} - {self._tokenizer.unk_token_id},
        )

    def _ask(self, images: Sequence[Images], prompt: Prompt, noun_count: int) -> list[Answer]:
        def ask(some: Sequence[Images]) -> list[Answer]:
            return self._answers(some, prompt, noun_count)

        return in_batches(ask, images, self._batch)

    def _answers(self, images: Sequence[Images], prompt: Prompt, noun_count: int) -> list[Answer]:
        import torch

        height, width = images[0].shape[:2]
        with torch.inference_mode(), mixed(self._device, self._dtype):
            pixels = self._pixels.tensor(images, self._device)
            logits, places = self.forward(pixels, torch.tensor(prompt.ids, device=self._device))
            scores = noun_scores(logits, prompt, noun_count)
            boxes = _xyxy(places, height, width)
        found = boxes.double().cpu().numpy(), scores.double().cpu().numpy()
        if not all(np.isfinite(each).all() for each in found):
            raise ConfigError(
                f"GroundingDINO computes no numbers in {self._dtype}: set masklets.detector.dtype to float32"
            )
        return [_worthy(boxes, scores) for boxes, scores in zip(*found, strict=True)]


class GroundingDinoDetector(GroundingDino):
    """GroundingDINO from a folder, through transformers.

    Args:
        folder: of the checkpoint, as `save_pretrained` writes it: model, tokenizer, image processor.
        device: `cpu`, `cuda` or `cuda:n`.
        dtype: in which it computes; weights stay in float32 where another type is asked for.
        batch: most frames at a time.

    Raises:
        ConfigError: there is no such checkpoint, or transformers is not installed.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, batch: int) -> None:
        with loading(folder, "GroundingDINO"):
            tokenizer = pretrained("AutoTokenizer", folder)
            processor = pretrained("AutoImageProcessor", folder)
            model = pretrained_model("AutoModelForZeroShotObjectDetection", folder)
        self.model = model.to(device)
        super().__init__(
            tokenizer=tokenizer,
            pixels=Pixels.of(processor),
            max_tokens=model.config.max_text_len,
            device=device,
            dtype=dtype,
            batch=batch,
        )

    def forward(self, pixels: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the base class."""
        said = self.model(pixel_values=pixels, input_ids=ids.expand(len(pixels), -1))
        return said.logits, said.pred_boxes


def noun_scores(logits: torch.Tensor, prompt: Prompt, noun_count: int) -> torch.Tensor:
    """Logits (B, Q, L) to scores (B, Q, nouns): of each noun the best of its tokens; 0: not in the prompt."""
    import torch

    chances = logits.float().sigmoid()
    scores = torch.zeros((*logits.shape[:2], noun_count), device=logits.device)
    for place, (start, end) in prompt.spans.items():
        scores[..., place] = chances[..., start:end].amax(dim=-1)
    return scores


def merged(answers: Sequence[Answer], noun_count: int) -> Answer:
    """The boxes of all prompts about one frame.

    What lies where a box of another prompt does is the same thing, so it has that one's scores as well: no
    prompt asks for all nouns, and a box would seem to answer to none of the others.
    """
    boxes = np.concatenate([np.zeros((0, 4)), *(answer.boxes for answer in answers)])
    own = np.concatenate([np.zeros((0, noun_count)), *(answer.scores for answer in answers)])
    if len(answers) < 2:
        return Answer(boxes=boxes, scores=own)
    is_same = _iou(boxes, boxes) >= _SAME_BOX_IOU
    prompt = np.repeat(range(len(answers)), [len(answer.boxes) for answer in answers])
    is_same[prompt[:, None] == prompt[None]] = False
    lent = [np.where(is_same, column[None], 0.0).max(axis=1, initial=0.0) for column in own.T]
    return Answer(boxes=boxes, scores=np.maximum(own, np.stack(lent, axis=1)))


def _worthy(boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> Answer:
    """The boxes that any noun names well enough and that are at least a pixel wide and high."""
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = (scores.max(axis=1, initial=0.0) >= _MIN_SCORE) & (sides >= 1).all(axis=1)
    return Answer(boxes=boxes[keep], scores=scores[keep])


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes (A, 4) and (B, 4): (A, B)."""
    inner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = inner.clip(0).prod(axis=-1)
    areas = [(each[:, 2:] - each[:, :2]).clip(0).prod(axis=-1) for each in (a, b)]
    return both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9)


def _xyxy(places: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Centres and sizes (B, Q, 4), 0..1, to corners in pixels, clipped to the picture."""
    import torch

    centre, half = places[..., :2].float(), places[..., 2:].float() / 2
    side = torch.tensor([width, height], device=places.device)
    corners = [((centre + sign * half).clamp(0, 1) * side) for sign in (-1, 1)]
    return torch.cat(corners, dim=-1)


def _detections(index: int, answer: Answer) -> list[Detection]:
    """Best first."""
    best = answer.scores.max(axis=1, initial=0.0)
    return [
        Detection(
            frame_index=int(index),
            box=(x0, y0, x1, y1),
            score=float(best[place]),
            noun_scores=tuple(answer.scores[place].tolist()),
        )
        for place in np.argsort(-best, kind="stable")
        for x0, y0, x1, y1 in [answer.boxes[place].tolist()]
    ]
