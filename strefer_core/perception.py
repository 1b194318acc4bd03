"""What `--perception` chooses: which masklets backend sees, and where its models lie."""

from __future__ import annotations

from pathlib import Path

from strefer_core.config import MaskletsConfig, PipelineConfig
from strefer_core.errors import ConfigError

SUBFOLDERS = {"detector": "groundingdino", "tracker": "sam2", "assigner": "clip"}
"""Of the folder that `--models` names, one per model."""


def chosen(config: PipelineConfig, perception: str | None, models: Path | None) -> PipelineConfig:
    """The configuration with the perception that was asked for; as it is where nothing was.

    Raises ConfigError where the choice and the folder do not go together, or a model is missing there.
    """
    if perception is None and models is None:
        return config
    if perception != "gpu":
        if models:
            raise ConfigError("--models names the models of --perception gpu; give both")
        return config.model_copy(
            update={"masklets": config.masklets.model_copy(update={"backend": perception})}
        )
    return config.model_copy(update={"masklets": _gpu(config.masklets, models)})


def _gpu(config: MaskletsConfig, models: Path | None) -> MaskletsConfig:
    given = config.model_dump(mode="json") | {"backend": "gpu"}
    if models:
        for part, name in SUBFOLDERS.items():
            given[part] |= {"weights": str(_folder(models, name)), "sha256": _checksum(models / name)}
    missing = [part for part in SUBFOLDERS if not given[part]["weights"]]
    if missing and not (missing == ["assigner"] and given["assigner"]["kind"] == "served"):
        names = ", ".join(SUBFOLDERS.values())
        raise ConfigError(
            f"--perception gpu needs models: give --models FOLDER with {names} in it, or set "
            f"STREFER_PIPELINE__MASKLETS__{missing[0].upper()}__WEIGHTS and the others"
        )
    return MaskletsConfig.model_validate(given)


def _folder(models: Path, name: str) -> Path:
    folder = models.absolute() / name
    if not folder.is_dir():
        raise ConfigError(
            f"{models} has no folder {name}: `strefer weights owner/name` fetches a checkpoint and says "
            f"where it is; copy or link it to {models / name}"
        )
    return folder


def _checksum(folder: Path) -> str:
    """So that what is computed hangs on what the folder holds, not on where it lies."""
    from strefer_core.warm.weights import checksum, manifest

    return checksum(manifest(folder))
