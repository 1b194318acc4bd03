"""`strefer doctor --gpu`: what will run where, what is missing for it, and the way out.

`broken` is what the configuration in force asks for and cannot have; `absent` is only worth knowing. So on a
machine without a GPU everything is well, as long as nothing is configured that needs one.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from rich.text import Text

from strefer_core.backends import registry
from strefer_core.commands.doctor import COLOURS, Finding, torchvision_finding
from strefer_core.config import LocalModel, PipelineConfig, ServedModel, Settings, settings
from strefer_core.console import emit, table
from strefer_core.errors import BackendError, ConfigError, StoreError, StreferError
from strefer_core.pipeline import STAGES, section
from strefer_core.served.listing import served_models
from strefer_core.warm.weights import fetch_weights

GIB = 2**30

CONTEXT_BYTES = GIB // 2
"""About what a process takes of a GPU before it holds any model: CUDA's context and its libraries."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU that torch sees."""

    name: str
    memory_bytes: int
    free_bytes: int
    compute_capability: str


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model that a worker process loads itself, because the configuration says so."""

    role: str  # stage and part
    source: str  # as `warm.weights.fetch_weights` takes it
    sha256: str = ""
    is_folder: bool = False  # its backend takes a folder and nothing else
    modules: tuple[str, ...] = ("torch", "transformers")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A served model that a stage asks, because the configuration says so."""

    role: str
    server: str  # name of its endpoint in the settings
    model: str


PACKAGES = {
    "transformers": "pip install 'strefer[models]'",
    "groundingdino": "in the GPU environment alone: see constraints-gpu.txt",
    "sam2": "in the GPU environment alone: see constraints-gpu.txt",
}
"""What models are loaded with, and where it is to be had."""

DISTRIBUTIONS = {"groundingdino": "groundingdino-py"}
"""Of the modules that are named otherwise."""

SERVER_OF = {"recognizer": "vlm", "parser": "llm", "vlm": "vlm", "llm": "llm"}
"""Part of a stage's section -> endpoint that it asks."""


def check(*, as_json: bool) -> bool:
    """Print all findings; True where everything that the configuration asks for can run."""
    now = settings()
    findings, gpus = list(run_checks(now)), visible_gpus()
    can_run = not any(finding.state == "broken" for finding in findings)
    found = {
        "can_run": can_run,
        "gpus": [asdict(gpu) for gpu in gpus],
        "findings": [asdict(finding) for finding in findings],
    }
    rows = [[f.check, Text(f.state, style=COLOURS[f.state]), f.detail] for f in findings]
    emit(found, as_json=as_json, human=table("What runs where", ["check", "state", "detail"], rows))
    return can_run


def run_checks(now: Settings) -> Iterator[Finding]:
    """Every finding: the machine, what is installed, each stage, and what the stages need."""
    yield torch_finding()
    yield torchvision_finding()
    yield from gpu_findings(now)
    for module, way_out in PACKAGES.items():
        yield package_finding(module, way_out)
    for stage in STAGES.values():
        yield stage_finding(stage.name, now)
    for server in ("vlm", "llm"):
        yield server_finding(server, now)
    sizes = []
    for model in local_models(now.pipeline):
        finding, size_bytes = weights_finding(model, now)
        sizes.append(size_bytes)
        yield finding
    yield memory_finding(sizes, now)


# The machine.


@cache
def _torch() -> Any:
    """The module, or None where there is none that works."""
    try:
        return import_module("torch")
    except (ImportError, OSError, RuntimeError):
        return None


def torch_finding() -> Finding:
    """Which build of torch is here."""
    torch = _torch()
    if torch is None:
        return Finding("torch", "absent", "not installed, or broken; pip install 'strefer[models]'")
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a build without CUDA"
    return Finding("torch", "ok", f"{torch.__version__}, {build}")


def visible_gpus() -> list[Gpu]:
    """The GPUs that this process may use, in torch's order."""
    torch = _torch()
    if torch is None or not torch.cuda.is_available():
        return []
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free_bytes, memory_bytes = torch.cuda.mem_get_info(index)
        found.append(
            Gpu(
                name=properties.name,
                memory_bytes=memory_bytes,
                free_bytes=free_bytes,
                compute_capability=f"{properties.major}.{properties.minor}",
            )
        )
    return found


def gpu_findings(now: Settings) -> Iterator[Finding]:
    """One per GPU that torch sees; where it sees none, why."""
    driver, gpus = driver_of_machine(), visible_gpus()
    for index, gpu in enumerate(gpus):
        memory = f"{gpu.free_bytes / GIB:.1f} of {gpu.memory_bytes / GIB:.1f} GiB free"
        told = f"{gpu.name}, {memory}, compute capability {gpu.compute_capability}, driver {driver or '?'}"
        yield Finding(f"cuda:{index}", "ok", told)
    _, _, number = now.device.partition(":")
    if gpus and int(number or 0) >= len(gpus):
        why = f"STREFER_DEVICE is {now.device}, but torch sees {len(gpus)} GPUs: set it to auto"
        yield Finding("STREFER_DEVICE", "broken", why)
    if gpus:
        return
    why = "no NVIDIA driver here: models run on the CPU"
    if driver:
        why = f"the driver is here ({driver}), but torch sees no GPU: {_why_unseen()}"
    yield Finding("gpu", "broken" if now.device.startswith("cuda") else "absent", why)


def driver_of_machine() -> str:
    """Version of the NVIDIA driver; "" where there is none."""
    program = shutil.which("nvidia-smi")
    if not program:
        return ""
    asked = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(done.stdout.split()), "")


def _why_unseen() -> str:
    torch = _torch()
    if torch is None:
        return "torch is not installed"
    if not torch.version.cuda:
        return "this build of torch has no CUDA; install with -c constraints-gpu.txt"
    return "check CUDA_VISIBLE_DEVICES, and that the driver is new enough for this build of torch"


# What is installed.


def package_finding(module: str, way_out: str) -> Finding:
    """Whether a package that loads models is there; not imported, which takes seconds."""
    try:
        return Finding(module, "ok", version(DISTRIBUTIONS.get(module, module)))
    except PackageNotFoundError:
        return Finding(module, "absent", f"not installed; {way_out}")


# What the configuration asks for.


def stage_finding(stage: str, now: Settings) -> Finding:
    """Which backend a stage has, where it runs, and whether it can be loaded there."""
    name, queue = getattr(section(now.pipeline, stage), "backend", None), STAGES[stage].queue
    if name is None:
        return Finding(f"stage {stage}", "ok", f"no backend; on the CPU of workers of the queue {queue}")
    models = [model for model in local_models(now.pipeline) if model.role.split(".")[0] == stage]
    asked = [one for one in served(now.pipeline) if one.role.split(".")[0] == stage]
    try:
        entry = registry.entry(stage, name)
        module, attribute = entry.factory.split(":")
        getattr(import_module(module), attribute)
        for needed in dict.fromkeys(m for model in models for m in model.modules):
            version(DISTRIBUTIONS.get(needed, needed))
    except (StreferError, ImportError, AttributeError, RuntimeError, OSError) as error:
        return Finding(f"stage {stage}", "broken", f"{name} cannot be loaded here: {error}")
    places = [f"on {_device(now)}"] if models else []
    places += [f"asks {one.model} of the {one.server} server" for one in asked]
    where = ", ".join(places) or "on the CPU"
    return Finding(f"stage {stage}", "ok", f"{name}, {where}, by workers of the queue {queue}")


def served(config: PipelineConfig) -> list[Asked]:
    """Models of servers that the stages ask."""
    found = []
    for stage in STAGES:
        own = section(config, stage)
        servers = registry.servers_of(stage, own)
        for part in type(own).model_fields:
            value = getattr(own, part)
            if isinstance(value, ServedModel) and (server := SERVER_OF[part]) in servers:
                found.append(Asked(role=f"{stage}.{part}", server=server, model=value.model))
    assigner = config.masklets.assigner.served
    found += [
        Asked(role="masklets.assigner", server=s, model=assigner.model) for s in config.masklets.servers
    ]
    return found


def local_models(config: PipelineConfig) -> list[Loaded]:
    """Models that worker processes load."""
    found = []
    if config.clips.embedder == "siglip":
        found.append(Loaded(role="clips.siglip", source=config.clips.siglip_path, is_folder=True))
    own = config.masklets
    if own.backend == "gpu":
        found.append(_of_part("detector", own.detector, "groundingdino"))
        if own.detector.implementation != "sam3":  # which follows what it finds
            found.append(_of_part("tracker", own.tracker, "sam2"))
        if not own.servers:
            found.append(_of_part("assigner", own.assigner, ""))
    return found


def _of_part(part: str, model: LocalModel, package: str) -> Loaded:
    modules = ["torch", "transformers"]
    if getattr(model, "implementation", "") == "package":
        modules.append(package)
    return Loaded(role=f"masklets.{part}", source=model.weights, sha256=model.sha256, modules=tuple(modules))


def server_finding(server: str, now: Settings) -> Finding:
    """Whether a server answers and has the models that the stages ask it for."""
    endpoint = getattr(now, server)
    wanted = sorted({one.model for one in served(now.pipeline) if one.server == server})
    bad: Literal["broken", "absent"] = "broken" if wanted else "absent"
    try:
        listed = served_models(server, endpoint)
    except (BackendError, ConfigError) as error:
        return Finding(f"server {server}", bad, f"{error}" if wanted else f"no stage asks it; {error}")
    told = f"{endpoint.base_url} lists {', '.join(listed) or 'nothing'}"
    if missing := ", ".join(name for name in wanted if name not in listed):
        return Finding(f"server {server}", "broken", f"{told}; not {missing}, which stages ask for")
    return Finding(f"server {server}", "ok", told)


# Weights and memory.


def weights_finding(model: Loaded, now: Settings) -> tuple[Finding, int]:
    """Whether a model's weights are here, or whence they come on first use; and their bytes, 0: unknown."""
    check = f"weights {model.role}"
    try:
        size_bytes, where = find_weights(model, now)
    except (ConfigError, StoreError) as error:
        return Finding(check, "broken", str(error)), 0
    size = f"{size_bytes / GIB:.2f} GiB" if size_bytes else "size unknown"
    return Finding(check, "ok", f"{size}, {where}"), size_bytes


def find_weights(model: Loaded, now: Settings) -> tuple[int, str]:
    """Bytes of a model's weights (0: unknown), and where they are. Fetches nothing.

    Raises:
        ConfigError: they can be had from nowhere.
        StoreError: S3 does not answer, or the bytes in a folder are not those of the checksum.
    """
    folder = Path(model.source).expanduser()
    if model.source and folder.is_dir():
        return _size_bytes(fetch_weights(model.source, model.sha256)), f"in {folder}"
    if model.is_folder:
        raise ConfigError(f"{model.role} names {model.source!r}, which is no folder here; name one")
    if model.source.startswith("s3://"):
        return _in_s3(model.source, now), f"fetched from {model.source} on first use"
    if kept := _in_hub_cache(model.source):
        return _size_bytes(kept), f"{model.source}, fetched before, in {kept}"
    if now.models.offline or _is_hub_off():
        raise ConfigError(
            f"{model.source} of the hub was not fetched before and the hub is switched off: put its folder "
            "here or into the object store, and name that"
        )
    return 0, f"not here yet: fetched from the hub as {model.source} on first use"


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def _in_s3(source: str, now: Settings) -> int:
    from strefer_core.store.s3 import S3Objects

    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    found = S3Objects.from_settings(now, bucket=bucket, prefix=prefix.strip("/")).list("")
    size = sum(info.size_bytes for info in found if info.key.endswith(".safetensors"))
    if not size:
        raise ConfigError(f"{source} holds no *.safetensors; name a folder that save_pretrained has written")
    return size


def _in_hub_cache(source: str) -> Path | None:
    """The snapshot that was fetched before. Raises ConfigError where `source` is no name of the hub."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    name, _, revision = source.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError:
        raise ConfigError(
            f"no weights at {source!r}: write an existing folder, s3://bucket/prefix, or "
            "owner/name[@revision] of the hub"
        ) from None


def _is_hub_off() -> bool:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    return bool(HF_HUB_OFFLINE)


def memory_finding(sizes: list[int], now: Settings) -> Finding:
    """What a worker process will hold of models of these bytes (0: unknown), against what it may."""
    if not sizes:
        return Finding("memory per process", "ok", "no stage loads a model")
    held, gpus = sum(sizes) + CONTEXT_BYTES, visible_gpus()
    told = f"about {held / GIB:.1f} GiB with {len(sizes)} models as they are stored"
    if unknown := sizes.count(0):
        told += f", {unknown} of them of unknown size"
    if not gpus:
        return Finding("memory per process", "ok", f"{told}, beside what its frames take")
    budget = now.models.budget_bytes
    if budget is None:
        budget = int(now.models.device_share * gpus[0].memory_bytes)
    told += f"; may keep {budget / GIB:.1f} of {gpus[0].memory_bytes / GIB:.1f} GiB"
    if max(sizes) + CONTEXT_BYTES > gpus[0].memory_bytes:
        return Finding("memory per process", "broken", f"{told}: the largest does not fit this GPU")
    if sum(sizes) > budget:
        return Finding("memory per process", "absent", f"{told}: models take turns, each loaded anew")
    return Finding("memory per process", "ok", told)


def _device(now: Settings) -> str:
    """Where neural backends run, in words."""
    gpus = visible_gpus()
    if now.device == "cpu" or not gpus:
        return "the CPU"
    _, _, number = now.device.partition(":")
    index = int(number or 0)
    return f"cuda:{index}, {gpus[index].name}" if index < len(gpus) else f"{now.device}, which is not there"
