"""Weights of models on this machine: from a folder, from S3, or from the Hugging Face hub; checked.

Only files that hold no code are weights here: safetensors, JSON, vocabularies. A checkpoint that is a pickle
is refused, because loading it runs whatever is in it.

The checksum of a folder of weights is the SHA-256 of the text that `sha256sum` prints for its files in the
byte order of their paths: `strefer weights` prints it, and so does

    find * -type f -name '*.*' | LC_ALL=C sort | xargs sha256sum | sha256sum

in a folder that has nothing but such files.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from strefer_core.config import settings
from strefer_core.errors import ConfigError, StoreError
from strefer_core.store.files import os_errors, sha256_of, whole_file

if TYPE_CHECKING:
    from strefer_core.store.objects import ObjectInfo, ObjectStore

log = logging.getLogger(__name__)

WEIGHT_SUFFIXES = (".json", ".safetensors", ".txt", ".model", ".jinja", ".yaml", ".yml")
"""Of the files that are fetched and that the checksum is over: data, no code."""

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")

_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([A-Za-z0-9][\w./-]*))?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WAY_OUT = (
    "download it on a machine that can, put the folder into the object store, and name it as "
    "s3://bucket/prefix; or copy it here and name the folder"
)


def fetch_weights(source: str, sha256: str = "") -> Path:
    """A local folder with the weights that `source` names.

    Safe to call from several processes at once: one fetches, the others wait for it.

    Args:
        source: a local folder (which wins where it exists), `s3://bucket/prefix` (with the S3 settings), or
            `owner/name[@revision]` of the Hugging Face hub (whose own variables and cache hold).
        sha256: checksum that the folder must have, 64 hex digits; "" takes what is there.

    Raises:
        ConfigError: the source is malformed, is not there, or holds no weights that may be loaded.
        StoreError: S3 or the hub does not answer, or the bytes are not those of the checksum.
    """
    if sha256 and not _SHA256.fullmatch(sha256):
        raise ConfigError(f"sha256 of {source} is {sha256!r}; it has 64 hex digits, see `strefer weights`")
    if source.startswith("s3://"):
        return _from_s3(source, sha256)
    folder = Path(source).expanduser()
    if source and folder.is_dir():
        return _checked(folder, folder, source, sha256)
    if match := _HUB_NAME.fullmatch(source):
        return _from_hub(match[1], match[2], sha256)
    raise ConfigError(
        f"no weights at {source!r}: it is no folder here; write an existing folder, s3://bucket/prefix, or "
        "owner/name[@revision] of the hub"
    )


def manifest(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of weights, by its path in the folder, in byte order of the paths."""
    paths = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    with os_errors("read", folder):
        return {name: sha256_of(paths[name]) for name in sorted(paths, key=os.fsencode)}


def checksum(hashes: dict[str, str]) -> str:
    """The checksum of a manifest, 64 hex digits."""
    text = "".join(f"{digest}  {name}\n" for name, digest in hashes.items())
    return hashlib.sha256(text.encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix in WEIGHT_SUFFIXES and not _is_hidden(path.relative_to(folder)) and path.is_file():
            yield path


def _is_hidden(path: Path | PurePosixPath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _checked(folder: Path, bounds: Path, source: str, sha256: str) -> Path:
    """The folder itself, if its files may be loaded, lie within `bounds`, and have the checksum."""
    limit = bounds.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(limit):
            raise ConfigError(f"{path} leads out of {bounds}; put the file itself there")
    if not any(path.suffix == ".safetensors" for path in _files(folder)):
        raise ConfigError(_why_none(source, [path.name for path in folder.rglob("*")]))
    if sha256:
        _compare(source, checksum(manifest(folder)), sha256)
    return folder


def _why_none(source: str, names: list[str]) -> str:
    pickles = sorted(name for name in names if PurePosixPath(name).suffix in PICKLE_SUFFIXES)
    if pickles:
        return (
            f"{source} has its weights as pickles only ({', '.join(pickles[:3])}), and loading one runs what "
            "is in it; save the model as safetensors: from_pretrained(...).save_pretrained(folder)"
        )
    return f"{source} holds no *.safetensors; name a folder that save_pretrained has written"


def _compare(source: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise StoreError(
            f"{source} has the checksum {found}, not {wanted}: other or damaged weights; fetch them again, "
            "or set the checksum that you trust"
        )


# S3: whole folders under their checksum, and per state of the bucket a note of which one it was.


def _from_s3(source: str, sha256: str) -> Path:
    url, top = urlsplit(source), settings().weights_folder
    prefix = unquote(url.path).strip("/")
    if not url.netloc or not prefix or url.query or url.fragment:
        raise ConfigError(f"weights at {source!r}: write s3://bucket/prefix")
    if sha256 and (folder := top / sha256).is_dir():
        return folder  # fetched before: needs no server
    from strefer_core.store.s3 import S3Objects  # boto3 takes a while to import

    objects = S3Objects.from_settings(settings(), bucket=url.netloc, prefix=prefix)
    found = [info for info in objects.list("") if _is_wanted(info.key)]
    if not any(info.key.endswith(".safetensors") for info in found):
        raise ConfigError(_why_none(source, [info.key for info in objects.list("")]))
    note = top / f"s3-{_state(source, found)}"
    with os_errors("write", top), _one_process(note):
        if note.is_file() and (folder := top / note.read_text()).is_dir():
            known = folder.name
        else:
            known = _download(objects, found, top)
            with whole_file(note) as part:
                part.write_text(known)
    if sha256:
        _compare(source, known, sha256)
    return top / known


def _is_wanted(key: str) -> bool:
    path = PurePosixPath(key)
    return path.suffix in WEIGHT_SUFFIXES and not _is_hidden(path)


def _state(source: str, found: list[ObjectInfo]) -> str:
    """Changes when any object does."""
    lines = [source, *(f"{info.key}\t{info.size_bytes}\t{info.etag}" for info in found)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _download(objects: ObjectStore, found: list[ObjectInfo], top: Path) -> str:
    """Fetch objects into a folder that appears whole; returns its name, which is its checksum."""
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=top))
    try:
        for info in found:
            log.info("weights=%s size_bytes=%d fetching", objects.url(info.key), info.size_bytes)
            objects.fetch(info.key, part / info.key)
        name = checksum(manifest(part))
        part.chmod(0o755)
        if not (top / name).is_dir():  # the same weights under another address
            part.replace(top / name)
        return name
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _one_process(note: Path) -> Iterator[None]:
    """Waits until no other process fetches the same; a killed one lets go."""
    note.parent.mkdir(parents=True, exist_ok=True)
    with note.with_name(f".{note.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# The hub: through its own client, into its own cache.


def _from_hub(name: str, revision: str | None, sha256: str) -> Path:
    from huggingface_hub import snapshot_download

    source = f"{name}@{revision}" if revision else name
    if ".." in source:
        raise ConfigError(f"weights at {source!r}: a name or revision of the hub has no '..'")
    with _hub_errors(source):
        folder = Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=[f"*{suffix}" for suffix in WEIGHT_SUFFIXES],
                local_files_only=settings().models.offline,
            )
        )
    # A snapshot is links to the files of its repository, two folders up.
    return _checked(folder, folder.parents[1], source, sha256)


@contextmanager
def _hub_errors(source: str) -> Iterator[None]:
    from huggingface_hub import errors

    client: tuple[Any, ...] = errors.HfHubHTTPError.__bases__
    try:  # among the bases is the error of the HTTP client that this version has
        yield
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(source) from error
    except errors.GatedRepoError as error:
        raise ConfigError(f"{source} is gated: ask for access on the hub and set HF_TOKEN") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ConfigError(
            f"the hub has no {source}, or not for everyone: check name and revision, set HF_TOKEN where it "
            "is private"
        ) from error
    except (OSError, *client) as error:
        raise StoreError(f"the hub does not give {source}: {type(error).__name__}; {_WAY_OUT}") from error


def _unreachable(source: str) -> ConfigError | StoreError:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if settings().models.offline or HF_HUB_OFFLINE:
        why = "STREFER_MODELS__OFFLINE" if settings().models.offline else "HF_HUB_OFFLINE"
        return ConfigError(f"{source} was not fetched before and {why} is set: {_WAY_OUT}, or unset it")
    return StoreError(f"{source} was not fetched before and the hub cannot be reached: {_WAY_OUT}")
