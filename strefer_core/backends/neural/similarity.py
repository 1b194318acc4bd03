"""Which track do words mean: how near a cut of it is to the words in CLIP's or SigLIP's common space.

The weakest judge of relations ("the girl behind the car"), but a small and fast one. A track's chances are
shared out among the words of all entities and of nothing in particular, so that they can be compared between
tracks, frames and calls, and a track that no words fit has low scores for all of them.
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
from strefer_core.backends.neural.devices import mixed
from strefer_core.backends.neural.pictures import Sight, cut, filled, sights
from strefer_core.errors import ConfigError
from strefer_core.warm.memory import in_batches

if TYPE_CHECKING:
    import torch

_KINDS = ("clip", "siglip")
_WORDS = "a photo of {}"
_NOTHING = ("something else", "the background")  # what a track may be instead of any entity


class SimilarityAssigner:
    """Assigner (see `backends.interfaces`) by image-text similarity.

    Args:
        folder: of a CLIP or SigLIP checkpoint with tokenizer and image processor, as `save_pretrained`
            writes it.
        device: `cpu`, `cuda` or `cuda:n`.
        dtype: in which it computes; weights stay in float32.
        batch: most cuts at a time.

    Raises:
        ConfigError: there is no such checkpoint, or transformers is not installed.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, batch: int) -> None:
        with loading(folder, "CLIP or SigLIP"):
            kind = pretrained("AutoConfig", folder).model_type
            if kind not in _KINDS:
                raise ValueError(f"it is of type {kind}, not {' or '.join(_KINDS)}")
            self._tokenizer = pretrained("AutoTokenizer", folder)
            self._images = pretrained("AutoImageProcessor", folder)
            self.model = pretrained_model("AutoModel", folder).to(device)
        self._device, self._dtype, self._batch = device, dtype, batch

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        """See `interfaces.Assigner`. Raises ConfigError where the scores are no numbers."""
        texts = [_WORDS.format(words) for words in (*(one.expression for one in entities), *_NOTHING)]

        def answer(seen: Sequence[Sight]) -> list[NDArray[np.float64]]:
            found = in_batches(lambda some: self._shares(some, texts), seen, self._batch)
            return [shares[: len(entities)] for shares in found]

        shape = len(frame_indices), len(entities), len(tracks)
        return filled(shape, sights(footage, tracks, frame_indices), answer)

    def _shares(self, seen: Sequence[Sight], texts: Sequence[str]) -> list[NDArray[np.float64]]:
        """Per cut the share (texts,) of each text; together 1."""
        import torch

        cuts = [cut(sight) for sight in seen]
        pixels = self._images(images=cuts, return_tensors="pt")["pixel_values"].to(self._device)
        with torch.inference_mode(), mixed(self._device, self._dtype):
            said = self.model(pixel_values=pixels, **self._tokens(texts))
            shares = said.logits_per_image.double().softmax(dim=-1).cpu().numpy()
        if not np.isfinite(shares).all():
            raise ConfigError(
                f"the similarity assigner computes no numbers in {self._dtype}: set masklets.assigner.dtype "
                "to float32"
            )
        return list(shares)

    def _tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Padded to full length: SigLIP was trained so and masks nothing; to CLIP it makes no difference."""
        length = self.model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )
        names = ["input_ids"] if self.model.config.model_type == "siglip" else ["input_ids", "attention_mask"]
        return {name: tokens[name].to(self._device) for name in names}
