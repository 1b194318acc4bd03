"""A small Hugging Face hub on loopback: one repository over real HTTP; `HF_ENDPOINT` leads to it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """`files`: contents by path, of the only commit; `refusals`: (status, error code) for other names."""

    name: str
    revisions: tuple[str, ...]
    files: Mapping[str, bytes]
    refusals: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    breaks_off: bool = False  # in the middle of every file
    url: str = ""
    paths: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        return hashlib.sha1(self.name.encode(), usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.paths.append(path)
        parts = path.strip("/").split("/")
        if refusal := hub.refusals.get("/".join(parts[2:4])):
            self._send(refusal[0], b"{}", {"X-Error-Code": refusal[1]}, has_body)
        elif parts[:2] == ["api", "models"]:
            self._api(parts[4:], has_body)
        elif parts[2:3] == ["resolve"] and (name := "/".join(parts[4:])) in hub.files:
            data = hub.files[name]
            self._send(200, data, {"ETag": f'"{_hash(data)}"', "X-Repo-Commit": hub.commit}, has_body)
        else:
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"}, has_body)

    def _api(self, rest: list[str], has_body: bool) -> None:
        hub = self.hub
        if len(rest) > 1 and rest[1] not in (*hub.revisions, hub.commit):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, has_body)
        elif rest[:1] == ["tree"]:
            tree = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(data),
                    "oid": hashlib.sha256(data).hexdigest()[:40],
                }
                for name, data in hub.files.items()
            ]
            self._send(200, json.dumps(tree).encode(), {}, has_body)
        else:
            info = {"id": hub.name, "sha": hub.commit, "siblings": [{"rfilename": n} for n in hub.files]}
            self._send(200, json.dumps(info).encode(), {}, has_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], has_body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self.wfile.write(body[: len(body) // 2] if self.hub.breaks_off and "ETag" in headers else body)

    def log_message(self, *_: object) -> None:
        """Silent."""


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, listening at `hub.url`."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
