"""Objects in an S3 bucket, through boto3: multipart, retries and checksums are its transfer manager's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from strefer_core.errors import ConfigError, StoreError
from strefer_core.store.keys import check_key, check_prefix
from strefer_core.store.objects import ObjectInfo, ObjectStore

if TYPE_CHECKING:
    from strefer_core.config import Settings

_MISSING = {"404", "NoSuchKey", "NotFound"}
_PART_BYTES = 8 * 2**20  # larger objects go in parts; boto3 makes parts larger where 10,000 would not do
_TRANSFER = TransferConfig(
    multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=4
)


class S3Objects(ObjectStore):
    """Objects in one bucket, under an optional prefix.

    No conditional writes: `rclone serve s3` ignores `IfNoneMatch`. Nothing here needs them, because an
    object is either addressed by its content or has one writer.
    """

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = "",
        endpoint_url: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        region: str = "us-east-1",
        page_size: int = 1000,
    ) -> None:
        """Without keys, boto3 finds credentials its own way (environment, profile, instance role)."""
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._page_size = page_size
        self._options: dict[str, Any] = {
            "endpoint_url": endpoint_url,
            "aws_access_key_id": access_key,
            "aws_secret_access_key": secret_key,
            "region_name": region,
        }

    @classmethod
    def from_settings(cls, settings: Settings, *, bucket: str, prefix: str) -> S3Objects:
        access, secret = settings.s3_access_key, settings.s3_secret_key
        if (access is None) != (secret is None):
            raise ConfigError("set both STREFER_S3_ACCESS_KEY and STREFER_S3_SECRET_KEY, or neither")
        return cls(
            bucket=bucket,
            prefix=prefix,
            endpoint_url=settings.s3_endpoint_url,
            access_key=access.get_secret_value() if access else None,
            secret_key=secret.get_secret_value() if secret else None,
            region=settings.s3_region,
        )

    @cached_property
    def _client(self) -> Any:
        return self._new_client()

    @cached_property
    def _range_client(self) -> Any:
        # Some servers, rclone's among them, send the whole object's checksum with a part of it.
        return self._new_client(response_checksum_validation="when_required")

    def _new_client(self, **options: Any) -> Any:
        # A session of our own: boto3's default session is not safe to use from several threads.
        config = Config(
            signature_version="s3v4",
            # Servers other than AWS seldom answer to bucket names as host names.
            s3={"addressing_style": "path" if self._options["endpoint_url"] else "auto"},
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=16,
            **options,
        )
        session: Any = boto3.Session()
        try:
            return session.client("s3", config=config, **self._options)
        except (BotoCoreError, ValueError) as error:
            raise ConfigError(f"the S3 settings are not usable: {error}") from error

    def create(self) -> None:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if _code(error) not in {"404", "NoSuchBucket"}:
                raise _store_error("look at", f"bucket {self._bucket}", error) from error
            self._create_bucket()
        except BotoCoreError as error:
            raise _store_error("look at", f"bucket {self._bucket}", error) from error

    def _create_bucket(self) -> None:
        region = self._options["region_name"]
        where: dict[str, Any] = {}
        if region != "us-east-1":  # which AWS refuses to be told
            where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with _s3_errors("create", f"bucket {self._bucket}"):
            self._client.create_bucket(Bucket=self._bucket, **where)

    def put_bytes(self, key: str, data: bytes) -> None:
        from io import BytesIO

        with _s3_errors("write", key):
            self._client.upload_fileobj(BytesIO(data), self._bucket, self._full(key), Config=_TRANSFER)

    def put_file(self, key: str, path: Path) -> None:
        with _s3_errors("write", key):
            self._client.upload_file(str(path), self._bucket, self._full(key), Config=_TRANSFER)

    def stat(self, key: str) -> ObjectInfo | None:
        full = self._full(key)
        try:
            with _s3_errors("look at", key):
                found = self._client.head_object(Bucket=self._bucket, Key=full)
        except _NoSuchObject:
            return None
        return ObjectInfo(
            key=key,
            size_bytes=found["ContentLength"],
            etag=found["ETag"].strip('"'),
            modified=found["LastModified"],
        )

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=self._prefix + prefix,
            PaginationConfig={"PageSize": self._page_size},
        )
        with _s3_errors("list", prefix):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield ObjectInfo(
                        key=found["Key"].removeprefix(self._prefix),
                        size_bytes=found["Size"],
                        etag=found["ETag"].strip('"'),
                        modified=found["LastModified"],
                    )

    def delete(self, key: str) -> None:
        try:
            with _s3_errors("delete", key):
                self._client.delete_object(Bucket=self._bucket, Key=self._full(key))
        except _NoSuchObject:
            return

    def url(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._full(key)}"

    def _read(self, key: str) -> bytes:
        with _s3_errors("read", key):
            body = self._client.get_object(Bucket=self._bucket, Key=self._full(key))["Body"]
            data: bytes = body.read()
            return data

    def _read_range(self, key: str, start: int, stop: int) -> bytes:
        wanted = f"bytes={start}-{stop - 1}"  # HTTP counts the last byte in
        with _s3_errors("read", key):
            answer = self._range_client.get_object(Bucket=self._bucket, Key=self._full(key), Range=wanted)
            data: bytes = answer["Body"].read()
            return data

    def _download(self, key: str, path: Path) -> None:
        with _s3_errors("read", key):
            self._client.download_file(self._bucket, self._full(key), str(path), Config=_TRANSFER)

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)


class _NoSuchObject(StoreError):
    """The server answered: nothing is under this key."""


@contextmanager
def _s3_errors(action: str, what: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise _store_error(action, what, error) from error


def _store_error(action: str, what: str, error: Exception) -> StoreError:
    """Ours, with the server's short code. Its long message may hold the access key and the signature."""
    code = _code(error)
    if code in _MISSING:
        return _NoSuchObject(f"cannot {action} {what}: there is no such object")
    return StoreError(f"cannot {action} {what}: the object store says {code}")


def _code(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "nothing"))
    if isinstance(error, Boto3Error) and isinstance(error.__context__, ClientError):
        return _code(error.__context__)  # boto3 wraps the error of an upload in words only
    return f"nothing ({type(error).__name__})"
