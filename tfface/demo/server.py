"""The server of the page: it answers on this machine only, and only the page that it has sent.

    GET /                       the page
    POST /compare?first=BYTES   the files of two photos, one behind the other; BYTES is the length
                                of the first
    POST /identify              the file of a photo

Answers are JSON on one line; of a question that can't be answered `{"error": WHY}`. Photos stay in
memory, and are gone with the answer.

Other pages in the same browser may send requests here, too. A name of theirs that leads to
127.0.0.1 (DNS rebinding) is refused by the header Host. Of what they send to our address, questions
are refused by the header Origin, and answers are kept from them by the browser, as no CORS header
says otherwise.
"""

import errno
import json
import re
import secrets
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple

import jinja2

from tfface.demo.photo_answers import PhotoAnswers
from tfface.errors import InputError

# Bytes of a photo, which is held in memory; the limit of pixels is that of `pillow_decoder`.
MOST_BYTES = 32 << 20

_TOO_LARGE = f"a photo may have {MOST_BYTES >> 20} MiB"
_ADDRESS = "127.0.0.1"
_HOSTS = (_ADDRESS, "localhost")
# Of an upload. JavaScript of other pages can't send this type without asking first.
_TYPE = "application/octet-stream"
# Uploads that are in memory at a time; others wait in their sockets.
_MOST_UPLOADS = 4
# Seconds without a byte after which a connection is given up.
_PATIENCE = 30
_POLL_SECONDS = 0.1

_TEMPLATES = jinja2.Environment(
    # The style is that of reports.
    loader=jinja2.ChoiceLoader(
        [jinja2.PackageLoader("tfface.demo"), jinja2.PackageLoader("tfface.reporting")]
    ),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class DemoServer(ThreadingHTTPServer):
    """Serves the page at 127.0.0.1; use it in a `with` block, which closes the port.

    Args:
        port: of TCP; 0 for one that is free.

    Attributes:
        answers: the argument of `serve`.
        uploads: bounds the number of uploads in memory; held while there is one.

    Raises:
        InputError: the port is in use, or may not be opened.

    Example:
        >>> with DemoServer(0) as server:
        ...     server.url.startswith("http://127.0.0.1:")
        True
    """

    # As many connections as may wait to be accepted.
    request_queue_size = 128
    answers: PhotoAnswers

    def __init__(self, port: int):
        self.uploads = threading.BoundedSemaphore(_MOST_UPLOADS)
        try:
            super().__init__((_ADDRESS, port), _Handler)
        except OSError as error:
            advice = "choose another with --port; 0 takes one that is free"
            if error.errno == errno.EADDRINUSE:
                raise InputError(f"port {port} is in use: {advice}") from error
            raise InputError(f"port {port} can't be opened: {error.strerror}; {advice}") from error

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://{_ADDRESS}:{self.server_address[1]}"

    def serve(self, answers: PhotoAnswers) -> None:
        """Serves the page until `shutdown` or an exception, as Ctrl-C raises one.

        Args:
            answers: answers the questions of the page.
        """
        self.answers = answers
        try:
            self.serve_forever(_POLL_SECONDS)
        finally:
            # The interpreter must not end while a thread computes.
            answers.wait()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Where the browser has gone, nobody is left to be told.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    """A request that is not of our page, or not as it should be."""

    def __init__(self, status: HTTPStatus, reason: str):
        super().__init__(reason)
        self.status = status


class _Question(NamedTuple):
    """What a POST asks: a path, and the photos' lengths."""

    path: str
    lengths: tuple[int, ...]


class _Handler(BaseHTTPRequestHandler):
    server: DemoServer
    timeout = _PATIENCE
    server_version = "tfface"
    sys_version = ""
    # For every answer. That of the page also allows its own script and style.
    _HEADERS: ClassVar = {
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    def do_GET(self) -> None:
        nonce = secrets.token_urlsafe()
        try:
            self._check_host()
            if self.path.partition("?")[0] != "/":
                raise _Refused(HTTPStatus.NOT_FOUND, "there is only the page /")
            page = _TEMPLATES.get_template("demo.html").render(
                nonce=nonce,
                description=self.server.answers.description,
                has_gallery=self.server.answers.gallery is not None,
                most_bytes=MOST_BYTES,
            )
        except (_Refused, InputError) as error:
            self._send_reason(error)
            return
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        # Names of files may hold bytes that are no UTF-8.
        self._send(HTTPStatus.OK, page.encode(errors="replace"), "text/html", policy)

    def do_POST(self) -> None:
        try:
            self._check_host()
            self._check_origin()
            question = self._question()
            with self.server.uploads:
                answer = self._answer(question.path, self._photos(question.lengths))
        except (_Refused, InputError) as error:
            self._send_reason(error)
        else:
            self._send_json(HTTPStatus.OK, answer)

    def _check_host(self) -> None:
        """Refuses what was sent to a name that somebody else lets lead to this machine."""
        host, _, port = self.headers.get("Host", "").partition(":")
        # Of a port that is forwarded, the number may be another.
        if host not in _HOSTS or not re.fullmatch(r"\d{0,5}", port):
            raise _Refused(HTTPStatus.FORBIDDEN, f"the page is at {self.server.url} only")

    def _check_origin(self) -> None:
        """Refuses what another page has sent."""
        if self.headers.get("Origin") != f"http://{self.headers['Host']}":
            raise _Refused(HTTPStatus.FORBIDDEN, "only the page itself may ask")

    def _question(self) -> _Question:
        """Returns what is asked, by the headers alone."""
        path, _, query = self.path.partition("?")
        first = re.fullmatch(r"first=(\d{1,10})", query, re.ASCII)
        has_gallery = self.server.answers.gallery is not None
        if not (path == "/compare" and first) and not (self.path == "/identify" and has_gallery):
            raise _Refused(HTTPStatus.NOT_FOUND, "there is no such question")
        if self.headers.get("Content-Type") != _TYPE:
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"photos are sent as {_TYPE}")
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not re.fullmatch(r"\d+", length, re.ASCII):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "the length of the photos is not given")
        # More digits than any length here has.
        if len(length) > 10:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        lengths = (int(length),) if first is None else (int(first[1]), int(length) - int(first[1]))
        if max(lengths) > MOST_BYTES:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        if min(lengths) < 0:
            raise _Refused(HTTPStatus.BAD_REQUEST, "the first photo is longer than both")
        return _Question(path, lengths)

    def _photos(self, lengths: tuple[int, ...]) -> list[bytes]:
        photos = [self.rfile.read(length) for length in lengths]
        if tuple(map(len, photos)) != lengths:
            raise _Refused(HTTPStatus.BAD_REQUEST, "the upload ended before its time")
        return photos

    def _answer(self, path: str, photos: list[bytes]) -> dict:
        answers = self.server.answers
        return answers.compare(*photos) if path == "/compare" else answers.identify(*photos)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Sends why there is no other answer, as a line of JSON; the base class calls it, too."""
        self._send_json(HTTPStatus(code), {"error": message or HTTPStatus(code).phrase})

    def _send_reason(self, error: _Refused | InputError) -> None:
        wrong_photo = HTTPStatus.UNPROCESSABLE_ENTITY
        self.send_error(error.status if isinstance(error, _Refused) else wrong_photo, str(error))

    def _send_json(self, status: HTTPStatus, content: dict) -> None:
        self._send(status, f"{json.dumps(content)}\n".encode(), "application/json")

    def _send(
        self, status: HTTPStatus, body: bytes, kind: str, policy: str = "default-src 'none'"
    ) -> None:
        self.send_response(status)
        for name, value in self._HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the page shows what comes of a request."""
