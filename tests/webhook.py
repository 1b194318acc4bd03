"""A web server that keeps what is posted to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Posted:
    """What came, in order; `status` is what the server answers."""

    url: str
    status: int = 200
    paths: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def documents(self) -> list[Any]:
        return [json.loads(body) for body in self.bodies]


@contextmanager
def listening() -> Iterator[Posted]:
    """A server on a free port of this machine, for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.paths.append(self.path)
            posted.types.append(self.headers.get("content-type", ""))
            posted.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(posted.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: tests read what was posted."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    posted = Posted(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
