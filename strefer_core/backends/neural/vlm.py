"""Which track do words mean: a small local Video LLM says yes or no to each of them, marked on its frame.

The answer is the chance of "yes" against "no" as the next word, not a text: every answer is usable, and there
is a margin. Frames are given as images, for which no torchvision is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Footage, Track
from strefer_core.backends.neural.checkpoint import loading, pretrained, pretrained_model
from strefer_core.backends.neural.pictures import Sight, filled, sights
from strefer_core.backends.served.showing import lined
from strefer_core.errors import ConfigError
from strefer_core.warm.memory import in_batches

if TYPE_CHECKING:
    import torch

_KINDS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")  # they place an image's tokens in one and the same way
_QUESTION = "A magenta line runs around one thing in the picture. Is it {}? Answer yes or no."
_YES, _NO = ("Yes", "yes", " yes"), ("No", "no", " no")


class VlmAssigner:
    """Assigner (see `backends.interfaces`) by a model of the Qwen-VL family from a folder.

    Args:
        folder: of the checkpoint with tokenizer and image processor, as `save_pretrained` writes it.
        device: `cpu`, `cuda` or `cuda:n`.
        dtype: of the weights, and in which it computes.
        batch: most questions at a time.

    Raises:
        ConfigError: there is no such checkpoint, or transformers is not installed.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, batch: int) -> None:
        with loading(folder, "a vision-language model"):
            kind = pretrained("AutoConfig", folder).model_type
            if kind not in _KINDS:
                raise ValueError(f"it is of type {kind}, not one of {', '.join(_KINDS)}")
            self._tokenizer = pretrained("AutoTokenizer", folder, padding_side="left")
            self._images = pretrained("AutoImageProcessor", folder)
            model = pretrained_model("AutoModelForImageTextToText", folder, dtype=dtype)
            self.model = model.to(device)
        self._device, self._dtype, self._batch = device, dtype, batch
        yes, no = (self._first_tokens(words) for words in (_YES, _NO))
        self._yes, self._no = sorted(yes - no), sorted(no - yes)

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        """See `interfaces.Assigner`. Raises ConfigError where the scores are no numbers."""

        def answer(seen: Sequence[Sight]) -> list[NDArray[np.float64]]:
            asked = [(sight, one.expression) for sight in seen for one in entities]
            chances = np.array(in_batches(self._chances, asked, self._batch))
            return list(chances.reshape(len(seen), len(entities)))

        shape = len(frame_indices), len(entities), len(tracks)
        return filled(shape, sights(footage, tracks, frame_indices), answer)

    def _chances(self, asked: Sequence[tuple[Sight, str]]) -> list[float]:
        """Of "yes", 0..1, per marked thing and words."""
        import torch

        pictures = [lined(sight.image, sight.mask) for sight, _ in asked]
        seen = self._images(images=pictures, return_tensors="pt")
        per_token = self._images.merge_size**2  # patches that become one token
        sizes = (seen["image_grid_thw"].prod(dim=-1) // per_token).tolist()
        texts = [self._text(words, size) for (_, words), size in zip(asked, sizes, strict=True)]
        given = self._tokenizer(texts, padding=True, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            said = self.model(
                input_ids=given["input_ids"].to(self._device),
                attention_mask=given["attention_mask"].to(self._device),
                pixel_values=seen["pixel_values"].to(self._device, self._dtype),
                image_grid_thw=seen["image_grid_thw"].to(self._device),
                logits_to_keep=1,
                **self._kinds_of(given["input_ids"]),
            )
        last = said.logits[:, -1].float()
        sides = torch.stack([last[:, ids].logsumexp(dim=-1) for ids in (self._yes, self._no)], dim=-1)
        chances = sides.softmax(dim=-1)[:, 0]
        if not bool(torch.isfinite(chances).all()):
            raise ConfigError(
                f"the vlm assigner computes no numbers in {self._dtype}: set masklets.assigner.dtype to "
                "float32"
            )
        return [float(chance) for chance in chances]

    def _text(self, words: str, image_tokens: int) -> str:
        """The conversation up to the answer, with as many places for the picture as it has tokens."""
        question = _QUESTION.format(words.replace("<|", "< |"))  # a text must not hold the model's own marks
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text: str = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        place = self._tokenizer.convert_ids_to_tokens(self.model.config.image_token_id)
        return text.replace(place, place * image_tokens)

    def _kinds_of(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Which tokens are of an image, for releases of transformers that ask for it."""
        from inspect import signature

        name = "mm_token_type_ids"  # 0: text, 1: image
        if name not in signature(self.model.forward).parameters:
            return {}
        return {name: (ids == self.model.config.image_token_id).int().to(self._device)}

    def _first_tokens(self, words: Sequence[str]) -> set[int]:
        return {self._tokenizer.encode(word, add_special_tokens=False)[0] for word in words}
