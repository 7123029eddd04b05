"""A real HTTP server on the loopback interface that misbehaves as told."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file and what the server does wrong with it.

    Attributes:
        body: the bytes it sends.
        etag: its ETag, or None for none.
        ranges: whether it answers Range requests.
        cut: close the connection after so many bytes of each answer, as often as ``faults`` says.
        stall: send so many bytes, then nothing.
        trickle: send a byte, wait so many seconds, and so on.
        length: the Content-Length it claims, if that is not the true one; "" = none is sent.
        statuses: answers with these status codes come first.
        faults: how many answers misbehave; the later ones are right.
        change: after the first answer, body and ETag become these.
        no_head: HEAD is answered with 405.
    """

    body: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    cut: int | None = None
    stall: int | None = None
    trickle: float | None = None
    length: int | str | None = None
    statuses: list[int] = field(default_factory=list)
    faults: int = 10**9
    change: tuple[bytes, str] | None = None
    no_head: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *arguments):
        """Keep the tests' output clean."""

    def do_HEAD(self):
        served = self.server.files.get(self.path)
        if served is None or served.no_head:
            return self._status(404 if served is None else 405)
        self.send_response(200)
        self.send_header("Content-Length", str(len(served.body)))
        self.end_headers()

    def do_GET(self):
        served = self.server.files.get(self.path)
        if served is None:
            return self._status(404)
        served.requests.append(dict(self.headers))
        if served.statuses:
            return self._status(served.statuses.pop(0))
        body, etag = served.body, served.etag
        if served.change:
            served.body, served.etag = served.change
            served.change = None
        start = self._start(served, body, etag)
        if start is None:
            return self._status(416)
        self._send(served, body, etag, start)

    def _start(self, served, body, etag):
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        matches = self.headers.get("If-Range") in (None, etag)
        if not asked or not served.ranges or not matches:
            return 0
        return int(asked[1]) if int(asked[1]) < len(body) else None

    def _send(self, served, body, etag, start):
        rest = body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if etag:
            self.send_header("ETag", etag)
        length = len(rest) if served.length is None else served.length
        if length != "":
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        faulty = served.faults > 0
        served.faults -= 1
        if faulty and served.stall is not None:
            self._write(rest[: served.stall])
            self.server.stopping.wait(60)
        elif faulty and served.trickle is not None:
            for byte in rest:
                self._write(bytes([byte]))
                if self.server.stopping.wait(served.trickle):
                    break
        else:
            self._write(rest[: served.cut] if faulty and served.cut is not None else rest)
        self.close_connection = True

    def _write(self, data):
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def _status(self, code):
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files):
        self.files, self.stopping = files, threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request, client_address):
        """A client that goes away is part of the tests."""


@contextmanager
def serving(files: dict[str, Served]):
    """Serve ``files``, by path; yields the base address."""
    server = _Server(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
        time.sleep(0)
