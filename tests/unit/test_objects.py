"""The object store's contract, on a folder and on a real S3 server; keys, faults and the video cache."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from strefer_core.config import Settings
from strefer_core.errors import ConfigError, InputError, StoreError
from strefer_core.store.cache import fetch_video
from strefer_core.store.objects import FolderObjects, ObjectStore, open_objects
from strefer_core.store.s3 import S3Objects
from tests.s3_server import serving_s3

BIG = bytes(range(256)) * (10 * 2**20 // 256)  # 10 MiB: more than one part of an upload
ODD_KEY = "drops/Montag früh/ein Video + 100% (1) 😀#?&=.mp4"


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serving_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["folder", "s3", "s3 with a prefix"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    store: ObjectStore
    if request.param == "folder":
        store = FolderObjects(tmp_path / "store")
    else:
        server = request.getfixturevalue("s3_server")
        bucket = f"test-{secrets.token_hex(6)}"
        prefix = "some/prefix" if request.param.endswith("prefix") else ""
        store = S3Objects(bucket=bucket, prefix=prefix, page_size=3, **server)
    store.create()
    store.create()  # again is no error
    return store


# --- the contract -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["a", "results/x.json", ODD_KEY, "a/b/c/d/e"])
@pytest.mark.parametrize("data", [b"", b"some bytes \x00\xff"])
def test_what_was_put_is_got(objects: ObjectStore, tmp_path: Path, key: str, data: bytes) -> None:
    objects.put_bytes(key, data)
    assert objects.get_bytes(key) == data
    found = objects.stat(key)
    assert found is not None
    assert (found.key, found.size_bytes) == (key, len(data))
    assert found.modified.utcoffset() is not None
    assert [item.key for item in objects.list("")] == [key]
    objects.fetch(key, tmp_path / "new folder" / "copy")
    assert (tmp_path / "new folder" / "copy").read_bytes() == data


def test_a_file_of_several_parts_comes_back_whole(objects: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)
    objects.put_file("videos/big", tmp_path / "big")
    objects.fetch("videos/big", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == BIG
    found = objects.stat("videos/big")
    assert found is not None
    assert found.size_bytes == len(BIG)
    assert [item.etag for item in objects.list("videos/")] == [found.etag]


def test_a_put_replaces_and_changes_the_etag(objects: ObjectStore) -> None:
    objects.put_bytes("k", b"one")
    before = objects.stat("k")
    objects.put_bytes("k", b"three")
    after = objects.stat("k")
    assert objects.get_bytes("k") == b"three"
    assert before is not None
    assert after is not None
    assert before.etag != after.etag


def test_content_is_stored_under_its_hash(objects: ObjectStore) -> None:
    digest = hashlib.sha256(b"content").hexdigest()
    key = objects.put_content(b"content", "results", ".json")
    assert key == f"results/sha256/{digest[:2]}/{digest}.json"
    assert objects.get_bytes(key) == b"content"


def test_content_that_is_there_is_not_written_again(objects: ObjectStore) -> None:
    key = objects.put_content(b"content", "results", ".json")
    objects.put_bytes(key, b"CONTENT")  # of the same size: seen as present
    objects.put_content(b"content", "results", ".json")
    assert [item.size_bytes for item in objects.list("")] == [7]
    with pytest.raises(StoreError, match="damaged"):
        objects.get_bytes(key)
    objects.put_bytes(key, b"cut")  # of another size: written again
    objects.put_content(b"content", "results", ".json")
    assert objects.get_bytes(key) == b"content"


def test_damaged_content_never_becomes_a_file(objects: ObjectStore, tmp_path: Path) -> None:
    key = objects.put_content(b"content", "videos", "")
    objects.put_bytes(key, b"other")
    with pytest.raises(StoreError, match="damaged"):
        objects.fetch(key, tmp_path / "out" / "copy")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_name_that_looks_like_a_hash_is_only_a_name(objects: ObjectStore) -> None:
    name = f"drops/ab/ab{'0' * 62}.mp4"
    objects.put_bytes(name, b"a video")
    assert objects.get_bytes(name) == b"a video"


def test_an_object_is_read_in_parts(objects: ObjectStore) -> None:
    data = bytes(range(256)) * 40
    objects.put_bytes("k", data)
    with objects.open("k") as file:
        assert file.read(3) == data[:3]
        assert file.seek(5000) == 5000
        assert file.read(1000) == data[5000:6000]
        assert file.tell() == 6000
        file.seek(-7, io.SEEK_END)
        assert file.read(100) == data[-7:]
        assert file.read(100) == b""
        file.seek(-4, io.SEEK_CUR)
        assert file.read() == data[-4:]
        file.seek(len(data) + 9)
        assert file.read(1) == b""
        with pytest.raises(ValueError, match="seek"):
            file.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_nothing_but_what_is_read_is_fetched(tmp_path: Path) -> None:
    ranges: list[tuple[int, int]] = []

    class Noting(FolderObjects):
        def _read_range(self, key: str, start: int, stop: int) -> bytes:
            ranges.append((start, stop))
            return super()._read_range(key, start, stop)

    objects = Noting(tmp_path)
    objects.put_bytes("k", BIG)
    file = objects.open("k")
    file.seek(2**20)
    file.read(10)
    file.seek(-5, io.SEEK_END)
    file.read(10)
    assert ranges == [(2**20, 2**20 + 10), (len(BIG) - 5, len(BIG))]


def test_the_parts_of_what_is_not_there_or_goes_away(objects: ObjectStore) -> None:
    with pytest.raises(StoreError, match=r"cannot read k: .*no such"):
        objects.open("k")
    objects.put_bytes("k", b"0123456789")
    file = objects.open("k")
    objects.put_bytes("k", b"012")
    with pytest.raises(StoreError):
        file.read(10)
    objects.delete("k")
    file.seek(0)
    with pytest.raises(StoreError, match="cannot read k"):
        file.read(2)


def test_an_empty_object_has_no_parts(objects: ObjectStore) -> None:
    objects.put_bytes("k", b"")
    assert objects.open("k").read() == b""


def test_listing_is_by_prefix_in_order_over_many_pages(objects: ObjectStore) -> None:
    keys = [f"drops/a/{index:02}.mp4" for index in range(8)]
    keys += ["drops/a.txt", "drops/ab/x", "drops/ä", "other/a"]
    for key in reversed(keys):
        objects.put_bytes(key, b"x")
    for prefix in ("", "drops/a/", "drops/a", "drops/"):
        expected = sorted(key for key in keys if key.startswith(prefix))
        assert [item.key for item in objects.list(prefix)] == expected
    assert list(objects.list("nothing/")) == []


def test_what_is_not_there(objects: ObjectStore, tmp_path: Path) -> None:
    assert objects.stat("none") is None
    assert not objects.exists("none")
    objects.delete("none")
    for ask in (lambda: objects.get_bytes("none"), lambda: objects.fetch("none", tmp_path / "copy")):
        with pytest.raises(StoreError, match="none"):
            ask()
    assert not (tmp_path / "copy").exists()


def test_a_deleted_object_is_gone(objects: ObjectStore) -> None:
    objects.put_bytes(ODD_KEY, b"x")
    objects.delete(ODD_KEY)
    assert not objects.exists(ODD_KEY)
    assert list(objects.list("")) == []


BAD_KEYS = [
    "", "/a", "a//b", "../a", "a/../b", "a/..", "./a", "a/", "a\nb", "a\0b", "a\x7f", "x" * 1025, "\udcff"
]  # fmt: skip


def test_keys_that_are_not_allowed(objects: ObjectStore, tmp_path: Path) -> None:
    for key in BAD_KEYS:
        for ask in (
            partial(objects.put_bytes, key, b""),
            partial(objects.get_bytes, key),
            partial(objects.stat, key),
            partial(objects.fetch, key, tmp_path / "copy"),
            partial(objects.delete, key),
            partial(objects.url, key),
        ):
            with pytest.raises(InputError, match="object key"):
                ask()


def test_writers_of_one_key_leave_one_whole_object(objects: ObjectStore) -> None:
    bodies = [bytes([index]) * 50_000 for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda body: objects.put_bytes("k", body), bodies))
    assert objects.get_bytes("k") in bodies


def test_an_address_can_be_shown(objects: ObjectStore) -> None:
    assert objects.url("a/b c").startswith(("s3://test-", "file:///"))


# --- faults -------------------------------------------------------------------------------------------


def test_wrong_credentials_are_a_store_error_without_secrets(
    s3_server: dict[str, str], tmp_path: Path
) -> None:
    wrong = S3Objects(bucket="test", **{**s3_server, "secret_key": "geheim" * 4})
    (tmp_path / "file").write_bytes(b"x")
    for ask in (
        lambda: wrong.put_bytes("k", b"x"),
        lambda: wrong.put_file("k", tmp_path / "file"),
        lambda: wrong.get_bytes("k"),
        lambda: wrong.stat("k"),
        lambda: wrong.fetch("k", tmp_path / "copy"),
        lambda: wrong.delete("k"),
        lambda: list(wrong.list("")),
        wrong.create,
    ):
        with pytest.raises(StoreError) as caught:
            ask()
        shown = f"{caught.value} {caught.value.__cause__}"
        assert "geheim" not in shown
        assert s3_server["access_key"] not in shown


def test_a_silent_server_is_a_store_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = S3Objects(bucket="test", endpoint_url=f"http://127.0.0.1:{port}", access_key="a", secret_key="b")
    with pytest.raises(StoreError, match="EndpointConnectionError"):
        nobody.get_bytes("k")


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write k"):
        FolderObjects(tmp_path / "file").put_bytes("k", b"x")


def test_an_unfinished_write_is_not_listed(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path)
    store.put_bytes("a/k", b"x")
    (tmp_path / "a" / ".part-killed").write_bytes(b"half")
    assert [item.key for item in store.list("")] == ["a/k"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [("s3://bucket", "s3://bucket/k"), ("s3://bucket/deep/er/", "s3://bucket/deep/er/k"),
     ("file:///tmp/some%20folder", "file:///tmp/some%20folder/k")],
)  # fmt: skip
def test_the_settings_name_the_store(url: str, shown: str) -> None:
    settings = Settings(objects_url=url, s3_endpoint_url="http://127.0.0.1:1")
    assert open_objects(settings).url("k") == shown


@pytest.mark.parametrize("url", ["", "bucket", "s3://", "http://host/bucket", "file://"])
def test_an_address_that_names_no_store_says_what_to_write(url: str) -> None:
    with pytest.raises(ConfigError, match="s3://bucket"):
        open_objects(Settings(objects_url=url))


def test_half_of_the_credentials_is_refused() -> None:
    with pytest.raises(ConfigError, match="STREFER_S3_SECRET_KEY"):
        open_objects(Settings(objects_url="s3://bucket", s3_access_key=SecretStr("a"), s3_secret_key=None))


# --- the cache of videos ------------------------------------------------------------------------------


@pytest.fixture
def videos(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "store")


def upload(videos: FolderObjects, data: bytes) -> str:
    video_id = hashlib.sha256(data).hexdigest()[:16]
    videos.put_bytes(f"videos/{video_id}", data)
    return video_id


def test_a_video_is_fetched_once(videos: FolderObjects, tmp_path: Path) -> None:
    video_id = upload(videos, b"one")
    path = fetch_video(videos, video_id, tmp_path / "cache", 100)
    videos.delete(f"videos/{video_id}")
    assert fetch_video(videos, video_id, tmp_path / "cache", 100) == path
    assert path.read_bytes() == b"one"


def test_other_bytes_under_a_videos_id_are_refused(videos: FolderObjects, tmp_path: Path) -> None:
    video_id = upload(videos, b"one")
    videos.put_bytes(f"videos/{video_id}", b"two")
    with pytest.raises(StoreError, match=video_id):
        fetch_video(videos, video_id, tmp_path / "cache", 100)
    assert list((tmp_path / "cache").glob("*")) == []


def test_a_missing_video_is_named(videos: FolderObjects, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="0123456789abcdef"):
        fetch_video(videos, "0123456789abcdef", tmp_path / "cache", 100)


def age(path: Path, age_s: float) -> None:
    then = time.time() - age_s
    os.utime(path, (then, then))


def test_the_least_recently_used_go_first(videos: FolderObjects, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    ids = [upload(videos, bytes([index]) * 40) for index in range(4)]
    for video_id in ids[:3]:
        fetch_video(videos, video_id, cache, 1000)
    for years, video_id in enumerate(ids[:3], start=1):
        age(cache / video_id, years * 1e7)
    fetch_video(videos, ids[2], cache, 1000)  # the oldest, used again
    fetch_video(videos, ids[3], cache, 120)  # 160 bytes in all: one must go
    assert {path.name for path in cache.iterdir() if path.name != ".lock"} == {ids[0], ids[2], ids[3]}


def test_a_video_in_use_stays_above_the_limit(videos: FolderObjects, tmp_path: Path) -> None:
    ids = [upload(videos, bytes([index]) * 40) for index in range(3)]
    paths = [fetch_video(videos, video_id, tmp_path / "cache", 50) for video_id in ids]
    assert all(path.exists() for path in paths)


def test_what_a_killed_process_left_is_cleared(videos: FolderObjects, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / ".part-dead").write_bytes(b"x" * 100)
    age(cache / ".part-dead", 1e6)
    fetch_video(videos, upload(videos, b"one"), cache, 50)
    assert not (cache / ".part-dead").exists()


def test_many_may_fetch_one_video(videos: FolderObjects, tmp_path: Path) -> None:
    video_id = upload(videos, BIG)
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: fetch_video(videos, video_id, tmp_path / "cache", 1), range(4)))
    assert [path.read_bytes() == BIG for path in paths] == [True]
