"""`strefer weights`: fetch a model's weights and say what they are."""

from __future__ import annotations

from strefer_core.console import emit, table
from strefer_core.warm.weights import checksum, fetch_weights, manifest


def show(source: str, sha256: str, *, as_json: bool) -> None:
    """Print folder, checksum and files of the weights that `source` names; fetches what is not here."""
    folder = fetch_weights(source, sha256)
    files = manifest(folder)
    of_all = checksum(files)
    found = {"source": source, "folder": str(folder), "sha256": of_all, "files": files}
    sizes = {name: (folder / name).stat().st_size for name in files}
    rows = [[name, f"{size:,}", files[name]] for name, size in sizes.items()]
    rows += [["sha256 of all", f"{sum(sizes.values()):,}", of_all], ["folder", "", str(folder)]]
    emit(found, as_json=as_json, human=table(f"Weights {source}", ["file", "bytes", "sha256"], rows))
