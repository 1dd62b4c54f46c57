"""A server of the page for a test, and requests as bytes, which no client would send."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PIL import Image

from tfface.demo.photo_answers import PhotoAnswers
from tfface.demo.server import DemoServer

PHOTO_TYPE = "application/octet-stream"


@contextmanager
def serving(answers: PhotoAnswers) -> Iterator[DemoServer]:
    """Serves the page in a thread while the block lasts."""
    with DemoServer(0) as server:
        thread = threading.Thread(target=server.serve, args=(answers,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def encoded(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    photo.save(file, "PNG")
    return file.getvalue()


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        """The one line of the body."""
        assert self.body.endswith(b"\n")
        assert self.body.count(b"\n") == 1
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert set(self.json) == {"error"}
        return self.json["error"]


def send(server: DemoServer, request: bytes) -> Reply:
    """Sends bytes, then nothing more, and reads the reply to its end."""
    with socket.create_connection(server.server_address, timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = reply.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return Reply(int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body)


def get(server: DemoServer, path: str = "/", **headers: str | None) -> Reply:
    """Sends a GET; headers are as for `post`."""
    return send(server, _head(server, f"GET {path}", {}, headers))


def post(server: DemoServer, path: str, body: bytes = b"", **headers: str | None) -> Reply:
    """Sends a POST as the page does.

    Args:
        headers: with _ for -, other values than those of the page; None leaves one away.
    """
    usual = {
        "Origin": server.url,
        "Content-Type": PHOTO_TYPE,
        "Content-Length": str(len(body)),
    }
    return send(server, _head(server, f"POST {path}", usual, headers) + body)


def ask_compare(server: DemoServer, first: bytes, second: bytes) -> Reply:
    return post(server, f"/compare?first={len(first)}", first + second)


def _head(
    server: DemoServer, request: str, usual: dict[str, str], given: dict[str, str | None]
) -> bytes:
    headers: dict[str, str | None] = {"Host": server.url.removeprefix("http://"), **usual}
    headers |= {name.replace("_", "-"): value for name, value in given.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{request} HTTP/1.1", *lines, "", ""]).encode("latin-1")
