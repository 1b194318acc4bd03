"""Object keys: which are allowed, and how bytes are addressed by their content."""

from __future__ import annotations

import re

from strefer_core.errors import InputError, StoreError

_CONTENT_KEY = re.compile(r"(?:^|/)sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})(?:\.[^/]*)?$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_KEY_BYTES = 1024  # of S3


def content_key(prefix: str, sha256: str, suffix: str) -> str:
    """The content-addressed key of bytes with this hash."""
    return check_key(f"{prefix.strip('/')}/sha256/{sha256[:2]}/{sha256}{suffix}")


def check_key(key: str) -> str:
    """`key` itself. Raises InputError for one that could leave the store or that S3 would not take."""
    check_prefix(key)
    if not key or key.endswith("/"):
        raise InputError(f"object key {key!r} names no object; it must not be empty or end with '/'")
    return key


def check_prefix(prefix: str) -> None:
    """Raise InputError for a beginning of keys that could leave the store or that S3 would not take."""
    parts = prefix.split("/")
    if prefix and (not all(parts[:-1]) or {".", ".."} & set(parts)):
        raise InputError(f"object key {prefix!r} must not hold '..', '.', '//' or begin with '/'")
    if _CONTROL.search(prefix):
        raise InputError(f"object key {prefix!r} holds a control character; rename the file")
    try:
        size = len(prefix.encode())
    except UnicodeEncodeError as error:
        raise InputError(f"object key {prefix!r} is not valid Unicode; rename the file") from error
    if size > _MAX_KEY_BYTES:
        raise InputError(
            f"object key of {size} bytes, at most {_MAX_KEY_BYTES} are allowed: {prefix[:80]!r}..."
        )


def check_content(key: str, sha256: str) -> None:
    """Raise StoreError where a content-addressed key names other bytes than those with this hash."""
    match = _CONTENT_KEY.search(key)
    if match and match[2] != sha256:
        raise StoreError(f"object {key} is damaged (SHA-256 now {sha256[:16]}...); delete it and run again")
