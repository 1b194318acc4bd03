"""Names a torchvision that is installed but cannot be imported, before transformers trips over it.

transformers asks the metadata alone whether torchvision is there. Where it is built for another torch, even
`from transformers import AutoProcessor` then fails with "Could not import module ...", which says nothing.
Only who is about to load models asks: where torchvision is there, the answer costs an import of torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from strefer_core.errors import ConfigError


def torchvision_fault() -> str | None:
    """What is wrong with the installed torchvision, and the way out; None where it works or is absent."""
    try:
        installed = version("torchvision")
    except PackageNotFoundError:
        return None
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        return (
            f"torchvision {installed} is installed but cannot be imported ({error}), and with it no model of "
            f"transformers can: torch here is {_torch()}; run `pip uninstall torchvision`, or install the "
            "torchvision that is built for this torch (GPU workers: pip install -c constraints-gpu.txt "
            "'strefer[video,metrics,gpu]')"
        )
    return None


def check_torchvision() -> None:
    """Raise ConfigError where an installed torchvision cannot be imported."""
    fault = torchvision_fault()
    if fault:
        raise ConfigError(fault)


def _torch() -> str:
    """The build of torch, which its metadata tells of a CPU build alone."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return "absent"
