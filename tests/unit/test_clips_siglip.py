"""The SigLIP embedder on tiny random checkpoints, saved and loaded as real ones are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from strefer_core.config import ClipsConfig
from strefer_core.errors import ConfigError

pytest.importorskip("torch", reason="needs the models extra: pip install 'strefer[models]'")
pytest.importorskip("transformers", reason="needs the models extra: pip install 'strefer[models]'")

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def save_vision_model(folder: Path) -> Path:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    SiglipVisionModel(SiglipVisionConfig(image_size=32, patch_size=8, **SMALL)).save_pretrained(folder)
    return folder


def save_whole_model(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipModel

    vision = {"image_size": 32, "patch_size": 8, **SMALL}
    text = {"vocab_size": 64, "max_position_embeddings": 8, "projection_size": 16, **SMALL}
    SiglipModel(SiglipConfig(vision_config=vision, text_config=text)).save_pretrained(folder)
    return folder


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 90, 160, 3), dtype=np.uint8)


@pytest.mark.parametrize("save", [save_vision_model, save_whole_model])
def test_features_of_a_checkpoint(tmp_path: Path, save: object) -> None:
    from strefer_core.backends.clipper.survey import embedder

    assert callable(save)
    path = save(tmp_path / "siglip")
    chosen = embedder(ClipsConfig(embedder="siglip", siglip_path=str(path)))
    assert chosen is not None
    found = chosen.embed(IMAGES)
    assert (found.shape, found.dtype) == ((3, 16), np.float32)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert chosen.embed(IMAGES[1:2])[0] == pytest.approx(found[1], abs=1e-5)  # each picture by itself
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_weights_come_from_the_checkpoint(tmp_path: Path) -> None:
    from strefer_core.backends.clipper.siglip import SiglipEmbedder

    one, other = (
        SiglipEmbedder(str(save_vision_model(tmp_path / name))).embed(IMAGES) for name in ("one", "other")
    )
    assert np.abs(one - other).max() > 1e-3
    again = SiglipEmbedder(str(tmp_path / "one")).embed(IMAGES)
    assert again == pytest.approx(one)


def test_a_folder_without_a_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    from strefer_core.backends.clipper.siglip import SiglipEmbedder

    with pytest.raises(ConfigError, match="holds no checkpoint"):
        SiglipEmbedder(str(tmp_path))
