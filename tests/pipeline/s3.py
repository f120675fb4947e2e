"""A real S3 server on loopback, and a proxy in front of it that answers some requests itself."""

import http.client
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from costaudit.ingest.assembly.parquet_parts import join_parts

Answer = Callable[[str, str], str | None]  # (method, path) → S3's error code; None: let it pass
STATUS = {"SlowDown": 503, "AccessDenied": 403, "ExpiredToken": 400, "RequestTimeTooSkewed": 403}


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server, unless `answer` names an error."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.answer: Answer = lambda method, path: None
        self.seen: list[tuple[str, str]] = []
        self.ranges: set[str] = set()  # of bytes, as requested
        self.failed = 0

    @property
    def url(self) -> str:
        """The address of the proxy."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        self.server.seen.append((self.command, self.path))
        self.server.ranges.add(self.headers.get("Range") or "")
        code = self.server.answer(self.command, self.path)
        if code is not None:
            self.server.failed += 1
            told = f"<Error><Code>{code}</Code><Message>{code} here</Message></Error>".encode()
            self._send(STATUS[code], [("Content-Type", "application/xml")], told)
            return
        there = http.client.HTTPConnection("127.0.0.1", self.server.behind)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        content = answer.read()
        self._send(answer.status, answer.getheaders(), content)
        there.close()

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def s3_server() -> Iterator[Proxy]:
    """Run moto's S3 server, and yield the proxy in front of it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Proxy(server.get_host_and_port()[1])
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        server.stop()


def stored() -> dict[str, bytes]:
    """Return the objects of the bucket."""
    client = boto3.client("s3")
    keys = [one["Key"] for one in client.list_objects_v2(Bucket="bucket").get("Contents", ())]
    return {key: client.get_object(Bucket="bucket", Key=key)["Body"].read() for key in keys}


def objects(one: dict[str, Any]) -> list[str]:
    """Return the objects of a file that a manifest describes."""
    return one["parts"] or [one["object"]]


def files() -> dict[str, bytes]:
    """Return the files of the stored run, found as its manifest says."""
    there = stored()
    named = json.loads(there["run/costaudit-run.json"])["files"]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, one in named.items():
            parts = [Path(folder, str(number)) for number in range(len(objects(one)))]
            for part, key in zip(parts, objects(one), strict=True):
                part.write_bytes(there[f"run/{key}"])
            if one["parts"]:
                join_parts(parts[0], parts, Path(folder, "whole"))
                parts = [Path(folder, "whole")]
            found[name] = parts[0].read_bytes()
    return found
