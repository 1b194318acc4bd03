"""Loading a checkpoint's folder, with errors that say what is missing and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from strefer_core.errors import ConfigError


@contextmanager
def loading(folder: Path, what: str) -> Iterator[None]:
    """Around the loading of `what` from `folder`, as `save_pretrained` writes it.

    Raises ConfigError where the folder holds no such checkpoint, or torch or transformers is not installed.
    """
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder} holds no checkpoint of {what}: name a folder with config.json, its weights and what "
            "else was saved with them"
        )
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"{what} cannot be loaded: {error}; pip install 'strefer[models]'") from error
    except (OSError, ValueError, KeyError, TypeError) as error:  # the last: transformers 4, of a file missing
        raise ConfigError(f"{folder} is no usable checkpoint of {what}: {error}") from error


def pretrained(class_name: str, folder: Path, **options: Any) -> Any:
    """What a class of transformers makes of a local folder; never asks the hub."""
    found = getattr(import_module("transformers"), class_name)
    return found.from_pretrained(folder, local_files_only=True, **options)


def pretrained_model(class_name: str, folder: Path, **options: Any) -> Any:
    """A model in evaluation mode with all its weights.

    Raises ValueError where the folder lacks some: transformers would go on with random ones.
    """
    model, told = pretrained(class_name, folder, output_loading_info=True, **options)
    if missing := sorted(told["missing_keys"]):
        raise ValueError(f"{len(missing)} weights are missing in it, {missing[0]} among them")
    return model.eval()
