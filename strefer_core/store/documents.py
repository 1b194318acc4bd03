"""Result documents as bytes: a result with the request that it answers, the same bytes on every run.

JSON, but for masklets, whose masks are wanted one by one: Parquet, see `masklet_format`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from strefer_core import data_model as dm
from strefer_core.errors import MismatchError


def suffix(result_type: type[Any]) -> str:
    """How the object keys of documents of this kind of result end."""
    return ".masklets.parquet" if result_type is dm.MaskletsResult else ".json"


def dump(request: Mapping[str, str], result: dm.Result) -> bytes:
    """The document of a result that answers `request`."""
    if isinstance(result, dm.MaskletsResult):
        from strefer_core.store import masklet_format  # pyarrow: not for those who only look up states

        return masklet_format.dump(request, result)
    body = TypeAdapter(type(result)).dump_python(result, mode="json")
    document = {"request": dict(request), "result": body}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def load(data: bytes, result_type: type[Any]) -> tuple[dict[str, str], Any]:
    """The request that a document answers, and its result.

    Raises:
        MismatchError: the document is not of this kind of result, or of an older format.
        StoreError: it is damaged.
    """
    if result_type is dm.MaskletsResult:
        from strefer_core.store import masklet_object

        return masklet_object.load(data)
    try:
        document = json.loads(data)
        return document["request"], TypeAdapter(result_type).validate_python(document["result"])
    except (ValueError, KeyError, TypeError) as error:
        raise MismatchError(f"this is no document of a {result_type.__name__}: {error}") from error
