"""`masklets.backend = "gpu"`: which models it is made of, what its results hang on, how it fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from click.testing import CliRunner, Result
from pydantic import ValidationError

from strefer_core.backends import registry
from strefer_core.backends.interfaces import Detection
from strefer_core.backends.neural.perception import NeuralPerception
from strefer_core.backends.served.assigner import ServedAssigner
from strefer_core.cli import main
from strefer_core.config import MaskletsConfig, PipelineConfig, settings
from strefer_core.errors import ConfigError, StoreError
from strefer_core.perception import chosen
from strefer_core.pipeline import STAGES, fingerprints
from strefer_core.warm.keeper import keeper
from strefer_core.warm.weights import checksum, manifest
from strefer_core.world.render import render_video
from tests.integration import scenes
from tests.unit.test_neural_assigners import ENTITIES, TRACKS, footage

PARTS = {"detector": "groundingdino", "tracker": "sam2", "assigner": "clip"}


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STREFER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STREFER_DEVICE", "cpu")
    settings.cache_clear()
    keeper().clear()
    yield
    settings.cache_clear()
    keeper().clear()


def masklets(tiny: Path, **parts: dict[str, Any]) -> MaskletsConfig:
    given = {part: {"weights": str(tiny / name)} | parts.get(part, {}) for part, name in PARTS.items()}
    return MaskletsConfig.model_validate({"backend": "gpu", **given})


# What it is made of.


@pytest.mark.parametrize("missing", PARTS)
def test_every_model_must_be_named(tiny: Path, missing: str) -> None:
    with pytest.raises(ValidationError, match=rf"needs masklets\.{missing}\.weights: a folder"):
        masklets(tiny, **{missing: {"weights": ""}})


def test_a_served_assigner_needs_no_weights_but_a_name(tiny: Path) -> None:
    with pytest.raises(ValidationError, match=r"set masklets\.assigner\.served\.model"):
        masklets(tiny, assigner={"kind": "served", "weights": ""})
    config = masklets(tiny, assigner={"kind": "served", "weights": "", "served": {"model": "tiny-vlm"}})
    assert isinstance(NeuralPerception(config)._assigner(), ServedAssigner)
    assert registry.servers_of("masklets", config) == ("vlm",), "a worker waits for it"
    assert registry.servers_of("masklets", masklets(tiny)) == ()


def test_all_three_parts_work_on_one_video(tiny: Path) -> None:
    perception = registry.load("masklets", masklets(tiny))
    assert isinstance(perception, NeuralPerception)
    seen = footage()
    (boxes,) = perception.detect(seen, [1], ["ball", "dog"])
    assert boxes
    assert isinstance(boxes[0], Detection)
    tracks = perception.track(seen, boxes[:2])
    assert [one.detection for one in tracks] == boxes[:2]
    assert tracks[0].masks.shape == seen.images.shape[:3]
    assert perception.scores(seen, TRACKS, ENTITIES, [0, 1]).shape == (2, 2, 3)


@pytest.mark.skipif(not hasattr(transformers, "Sam3VideoModel"), reason="this transformers has no SAM 3")
def test_sam_3_finds_and_follows_in_one(tiny: Path, tmp_path: Path) -> None:
    from tests.tiny_sam3 import write_tiny_sam3

    weights = str(write_tiny_sam3(tiny / "clip", tmp_path / "sam3"))
    config = masklets(tiny, detector={"weights": weights, "implementation": "sam3"}, tracker={"weights": ""})
    perception, seen = NeuralPerception(config), footage()
    (boxes,) = perception.detect(seen, [1], ["person", "dog"])
    tracks = perception.track(seen, boxes)
    assert boxes
    assert [one.detection for one in tracks] == boxes
    assert [name.split(":")[:2] for name in keeper().names] == [["detector", "sam3"]]


@pytest.mark.parametrize("kind", ["similarity", "vlm"])
def test_the_assigner_is_the_chosen_one(tiny: Path, kind: str) -> None:
    folder = {"similarity": "siglip", "vlm": "vlm"}[kind]
    config = masklets(tiny, assigner={"kind": kind, "weights": str(tiny / folder)})
    scores = NeuralPerception(config).scores(footage(), TRACKS, ENTITIES, [1])
    assert np.isfinite(scores[0, :, :2]).all()
    assert any(f":{kind}:" in name for name in keeper().names)


# Warm models.


def test_models_are_loaded_once_for_all_videos(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        perception = registry.load("masklets", masklets(tiny))
        perception.detect(footage(), [0], ["ball"])
        perception.scores(footage(), TRACKS, ENTITIES, [0])
    assert len(keeper().names) == 2
    weights = {path: path.stat().st_size for path in tiny.glob("*/model.safetensors")}
    expected = sum(size for path, size in weights.items() if path.parent.name in ("groundingdino", "clip"))
    assert keeper().kept_bytes == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    "change", [{"dtype": "bfloat16"}, {"batch": 3}, {"sha256": "?"}, {"implementation": "package"}]
)
def test_another_model_is_another_entry(tiny: Path, change: dict[str, Any]) -> None:
    if "sha256" in change:
        change = {"sha256": checksum(manifest(tiny / "groundingdino"))}
    if "implementation" in change:
        pytest.importorskip("groundingdino", reason="groundingdino-py is in the GPU environment only")
    for config in (masklets(tiny), masklets(tiny, detector=change)):
        registry.load("masklets", config).detect(footage(), [0], ["ball"])
    assert len(keeper().names) == 2


def test_a_model_that_was_let_go_is_loaded_again(tiny: Path) -> None:
    perception = registry.load("masklets", masklets(tiny))
    before = perception.detect(footage(), [0], ["ball"])
    keeper().clear()
    assert perception.detect(footage(), [0], ["ball"]) == before


# What results hang on.


def test_a_changed_model_changes_masklets_and_what_follows(tiny: Path) -> None:
    chains = {
        name: fingerprints("0" * 16, PipelineConfig(masklets=config))
        for name, config in {
            "plain": masklets(tiny),
            "precision": masklets(tiny, detector={"dtype": "bfloat16"}),
            "other weights": masklets(tiny, assigner={"weights": str(tiny / "siglip")}),
            "known weights": masklets(tiny, tracker={"sha256": "0" * 64}),
            "classical": MaskletsConfig(),
        }.items()
    }
    following = ["masklets", "transcript", "instructions", "quality"]
    for stage in STAGES:
        distinct = len({chain[stage] for chain in chains.values()})
        assert distinct == (len(chains) if stage in following else 1), stage


def test_known_weights_are_the_same_wherever_they_lie(tiny: Path) -> None:
    def chain(**detector: str) -> dict[str, str]:
        return fingerprints("0" * 16, PipelineConfig(masklets=masklets(tiny, detector=detector)))

    here, there = (chain(weights=source, sha256="0" * 64) for source in ("/models/a", "s3://bucket/a"))
    assert here == there
    assert chain(weights="/models/a") != chain(weights="/models/b"), "unknown ones hang on their source"


def test_where_it_runs_changes_no_fingerprint(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PipelineConfig(masklets=masklets(tiny))
    before = fingerprints("0" * 16, config)
    monkeypatch.setenv("STREFER_DEVICE", "cuda:3")
    settings.cache_clear()
    assert fingerprints("0" * 16, config) == before


# How it fails.


def test_missing_weights_are_named_with_a_way_out(tiny: Path, tmp_path: Path) -> None:
    config = masklets(tiny, detector={"weights": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match=r"masklets\.detector: no weights at .*nowhere.*existing folder"):
        NeuralPerception(config).detect(footage(), [0], ["ball"])
    config = masklets(tiny, tracker={"weights": str(tiny / "clip")})
    with pytest.raises(ConfigError, match=r"masklets\.tracker: .*clip"):
        NeuralPerception(config).track(footage(), [TRACKS[0].detection])


def test_weights_that_are_not_those_of_the_checksum_are_not_loaded(tiny: Path) -> None:
    config = masklets(tiny, detector={"sha256": "0" * 64})
    with pytest.raises(StoreError, match="has the checksum"):
        NeuralPerception(config).detect(footage(), [0], ["ball"])
    assert keeper().names == []


# The command line's choice.


def test_nothing_asked_nothing_changed() -> None:
    config = PipelineConfig()
    assert chosen(config, None, None) is config


def test_a_folder_of_models_is_known_by_its_checksums(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "models"
    for name in PARTS.values():
        shutil.copytree(tiny / name, copy / name)
    one, other = (chosen(PipelineConfig(), "gpu", folder) for folder in (tiny, copy))
    assert one.masklets.detector.weights == str(tiny / "groundingdino")
    assert one.masklets.tracker.sha256 == checksum(manifest(tiny / "sam2"))
    assert fingerprints("0" * 16, one) == fingerprints("0" * 16, other)
    (copy / "clip/config.json").write_text("{}")
    assert fingerprints("0" * 16, chosen(PipelineConfig(), "gpu", copy)) != fingerprints("0" * 16, one)


def test_other_choices_of_the_settings_stay(tiny: Path) -> None:
    given = PipelineConfig(masklets=MaskletsConfig(max_anchors=2, cascade="paper"))
    config = chosen(given, "gpu", tiny)
    assert (config.masklets.max_anchors, config.masklets.cascade) == (2, "paper")
    assert chosen(config, "classical", None).masklets.backend == "classical"


def test_choices_that_do_not_go_together(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give both"):
        chosen(PipelineConfig(), None, tiny)
    with pytest.raises(ConfigError, match="give both"):
        chosen(PipelineConfig(), "classical", tiny)
    with pytest.raises(ConfigError, match="give --models FOLDER with groundingdino, sam2, clip in it"):
        chosen(PipelineConfig(), "gpu", None)
    (tmp_path / "groundingdino").mkdir()
    with pytest.raises(ConfigError, match=f"{tmp_path} has no folder sam2: `strefer weights"):
        chosen(PipelineConfig(), "gpu", tmp_path)


# The whole pipeline.


def run(videos: Path, out: Path, models: Path) -> tuple[Result, dict[str, Any]]:
    arguments = ["run", videos, "--out", out, "--perception", "gpu", "--models", models, "--json"]
    result = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
    return result, json.loads(result.stdout) if result.stdout else {}


@pytest.mark.timeout(900)
def test_a_world_video_goes_through_all_stages(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random weights see nothing sensible. Whatever they see is matched with somebody here."""
    monkeypatch.setenv("STREFER_PIPELINE__MASKLETS__MAX_ANCHORS", "1")
    monkeypatch.setenv("STREFER_PIPELINE__MASKLETS__MIN_MATCH", "0")
    settings.cache_clear()
    (tmp_path / "in").mkdir()
    render_video(7, 0, tmp_path / "in")
    result, report = run(tmp_path / "in", tmp_path / "out", tiny)
    assert result.exit_code == 0, result.output
    assert [(one["stage"], one["status"]) for one in report["videos"]] == [("quality", "done")]
    assert report["videos"][0]["masklets"] >= 1
    assert report["computed"] == dict.fromkeys(STAGES, 1)
    result, again = run(tmp_path / "in", tmp_path / "out", tiny)
    assert (again["computed"], again["already"]) == ({}, dict.fromkeys(STAGES, 1))
    assert again["dataset"] == report["dataset"]


def test_every_video_ends_in_a_state(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing matches anybody's words well enough, a video is filtered and not failed."""
    monkeypatch.setenv("STREFER_PIPELINE__MASKLETS__MAX_ANCHORS", "1")
    monkeypatch.setenv("STREFER_PIPELINE__MASKLETS__MIN_MATCH", "1")
    settings.cache_clear()
    (tmp_path / "in").mkdir()
    scenes.write_tiny(tmp_path / "in" / "small.mp4", 1)
    (tmp_path / "in" / "none.mp4").write_bytes(b"")
    _, report = run(tmp_path / "in", tmp_path / "out", tiny)
    states = {one["name"]: (one["stage"], one["status"]) for one in report["videos"]}
    assert states == {"none.mp4": ("videos", "failed"), "small.mp4": ("masklets", "filtered")}


def test_broken_models_fail_the_video_and_name_themselves(tiny: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    for name in PARTS.values():
        shutil.copytree(tiny / name, models / name)
    config = json.loads((models / "groundingdino/config.json").read_text())
    (models / "groundingdino/config.json").write_text(json.dumps(config | {"model_type": "vit"}))
    (tmp_path / "in").mkdir()
    scenes.write_scene(tmp_path / "in" / "scene.mp4", 1)
    result, report = run(tmp_path / "in", tmp_path / "out", models)
    assert result.exit_code == 1
    (video,) = report["videos"]
    assert (video["stage"], video["status"]) == ("masklets", "failed")
    assert "masklets.detector" in video["reason"]
    assert "groundingdino is no usable checkpoint of GroundingDINO" in video["reason"]


def test_a_missing_folder_is_a_wrong_call(tmp_path: Path) -> None:
    scenes.write_tiny(tmp_path / "small.mp4", 1)
    result, _ = run(tmp_path / "small.mp4", tmp_path / "out", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "has no folder groundingdino" in result.stderr
