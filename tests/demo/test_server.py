"""Who may ask the page, how much, and what hostile requests come to."""

import os
import re
import shutil
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

import tfface
from tests.api.dot_photos import group_photo, landscape, photo_of
from tests.demo.serving import ask_compare, encoded, get, post, send, serving
from tfface.demo import server as demo_server
from tfface.demo.photo_answers import PhotoAnswers
from tfface.demo.server import MOST_BYTES, DemoServer
from tfface.errors import InputError

ANNA, ANNA_AGAIN = encoded(photo_of("Anna")), encoded(photo_of("Anna", 1))


@pytest.fixture
def written_files():
    """The files that any thread opens to write to in the test."""
    opened, listening = [], True

    def hear(event: str, arguments: tuple) -> None:
        if listening and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            opened.append(arguments[0])

    # It stays until the process ends.
    sys.addaudithook(hear)
    yield opened
    listening = False


class TestAnswers:
    def test_the_page(self, server):
        reply = get(server)
        page = reply.body.decode()
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        for words in ("model: pixels", "same person if cosine &gt;= 0.900", "Who is it?"):
            assert words in page
        # All that it loads is its own.
        assert not re.search(r"(?:src|href)=\"(?!data:,\")", page)
        [nonce] = set(re.findall(r"<(?:script|style) nonce=\"([\w-]+)\">", page))
        assert f"script-src 'nonce-{nonce}'" in reply.headers["Content-Security-Policy"]
        assert nonce not in get(server).body.decode()

    def test_a_comparison(self, server, answers):
        reply = ask_compare(server, ANNA, ANNA_AGAIN)
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
        assert reply.json == answers.compare(ANNA, ANNA_AGAIN)
        assert reply.json["is_same"] is True

    def test_a_name_for_each_face(self, server):
        faces = post(server, "/identify", encoded(group_photo("Ben", "Cleo"))).json["faces"]
        assert {face["name"] for face in faces} == {"Ben", None}

    def test_without_a_gallery_nobody_is_asked_for(self, server):
        with serving(PhotoAnswers(server.answers.model, threshold=0.9)) as other:
            assert "Who is it?" not in get(other).body.decode()
            assert post(other, "/identify", ANNA).status == 404

    def test_a_gallery_that_is_gone(self, answers, tmp_path):
        gallery = tfface.Gallery.build("pixels", {"A": photo_of("Anna")}, path=tmp_path / "g")
        with serving(PhotoAnswers(gallery.model, gallery=gallery)) as other:
            shutil.rmtree(tmp_path / "g")
            for reply in (get(other), post(other, "/identify", ANNA)):
                assert reply.status == 422
                assert reply.error.startswith(f"{tmp_path / 'g'}: ")

    def test_names_are_text(self, server, monkeypatch):
        monkeypatch.setattr(server.answers.model, "name", "<script>alert(1)</script>")
        page = get(server).body.decode()
        assert "&lt;script&gt;alert(1)" in page
        assert page.count("<script") == 1

    @pytest.mark.parametrize(
        ("photo", "error"),
        [
            (encoded(landscape()), "the photo: no usable face found"),
            (b"", "the photo: the file is empty"),
            (b"%PDF-1.7", "the photo: not an image, but a PDF"),
            (ANNA[:300], "the photo: the image data are damaged"),
        ],
    )
    def test_a_photo_that_is_no_answer(self, server, photo, error):
        reply = post(server, "/identify", photo)
        assert reply.status == 422
        assert reply.error.startswith(error)

    def test_more_pixels_than_any_photo_has(self, server):
        # The header of a PNG of 60,000 x 60,000 pixels.
        large = bytearray(ANNA)
        large[16:24] = (60_000).to_bytes(4) * 2
        reply = post(server, "/identify", bytes(large))
        assert reply.status == 422
        assert "claims to have 60,000 x 60,000 pixels" in reply.error


class TestOnlyThePage:
    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:{port}",
            "127.0.0.1.evil.example:{port}",
            "localhost.evil.example",
            "127.0.0.1:{port}@evil.example",
            "127.0.0.2:{port}",
            "",
            None,
        ],
    )
    def test_a_foreign_host(self, server, host):
        """As of a page whose name its owner has let lead here."""
        port = server.server_address[1]
        host = host and host.format(port=port)
        for reply in (
            get(server, Host=host),
            post(server, "/identify", ANNA, Host=host, Origin=f"http://{host}"),
        ):
            assert reply.status == 403
            assert reply.error == f"the page is at http://127.0.0.1:{port} only"

    def test_other_names_of_this_machine(self, server):
        """With the port that ssh forwards, too."""
        for host in (f"localhost:{server.server_address[1]}", "127.0.0.1:9000", "localhost"):
            assert get(server, Host=host).status == 200
            assert post(server, "/identify", ANNA, Host=host, Origin=f"http://{host}").status == 200

    @pytest.mark.parametrize(
        "origin",
        [
            "http://evil.example",
            "null",
            None,
            "http://127.0.0.1",
            "https://{host}",
            "http://{host}/",
        ],
    )
    def test_a_foreign_origin(self, server, origin):
        origin = origin and origin.format(host=server.url.removeprefix("http://"))
        reply = post(server, "/identify", ANNA, Origin=origin)
        assert (reply.status, reply.error) == (403, "only the page itself may ask")

    def test_no_other_page_may_read(self, server):
        for reply in (get(server), post(server, "/identify", ANNA), get(server, "/x")):
            assert not [name for name in reply.headers if name.startswith("Access-Control")]
            assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert reply.headers["Cache-Control"] == "no-store"
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in get(server).headers["Content-Security-Policy"]

    def test_only_this_machine(self, server):
        assert server.server_address[0] == "127.0.0.1"


class TestHostileRequests:
    @pytest.mark.parametrize(
        "path",
        [
            *("/etc/passwd", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"),
            *("/demo.html", "/templates/demo.html", "/index.html", "/favicon.ico", "/compare"),
            *("http://[/", "/\\..\\..\\etc\\passwd", "/\x00", "*", "file:///etc/passwd"),
        ],
    )
    def test_there_is_only_the_page(self, server, path):
        assert get(server, path).status == 404
        assert post(server, path, ANNA).status == 404

    @pytest.mark.parametrize(
        "query", ["", "?", "?first=", "?first=-1", "?first=1e3", "?first=1&first=2", "?second=1"]
    )
    def test_a_comparison_says_where_the_first_photo_ends(self, server, query):
        assert post(server, f"/compare{query}", ANNA * 2).status == 404

    def test_the_first_photo_is_longer_than_both(self, server):
        reply = post(server, f"/compare?first={len(ANNA) + 1}", ANNA)
        assert (reply.status, reply.error) == (400, "the first photo is longer than both")

    @pytest.mark.parametrize(
        "kind", ["multipart/form-data; boundary=x", "text/plain", "image/png", "", None]
    )
    def test_another_content_type(self, server, kind):
        reply = post(server, "/identify", ANNA, Content_Type=kind)
        assert reply.status == 415
        assert reply.error == "photos are sent as application/octet-stream"

    @pytest.mark.parametrize("length", [MOST_BYTES + 1, 10**9, 10**40, "9" * 5000])
    def test_a_huge_body_is_refused_by_its_length(self, server, length):
        """Nothing of it is read: none is sent."""
        for path in ("/identify", "/compare?first=0"):
            reply = post(server, path, Content_Length=str(length))
            assert (reply.status, reply.error) == (413, "a photo may have 32 MiB")

    def test_a_huge_first_photo(self, server):
        path = f"/compare?first={MOST_BYTES + 1}"
        assert post(server, path, Content_Length=str(MOST_BYTES + 9)).status == 413

    @pytest.mark.parametrize("length", [None, "", "-5", "1.5", "0x10", "1,2", "\xb2"])
    def test_no_length(self, server, length):
        reply = post(server, "/identify", ANNA, Content_Length=length)
        assert (reply.status, reply.error) == (411, "the length of the photos is not given")

    def test_chunks(self, server):
        body = b"5\r\nabcde\r\n0\r\n\r\n"
        assert post(server, "/identify", body, Transfer_Encoding="chunked").status == 411

    @pytest.mark.parametrize("sent", [0, 1, len(ANNA) // 2, len(ANNA) - 1])
    def test_an_upload_that_ends_early(self, server, sent):
        reply = post(server, "/identify", ANNA[:sent], Content_Length=str(len(ANNA)))
        assert (reply.status, reply.error) == (400, "the upload ended before its time")

    @pytest.mark.parametrize(
        ("request_bytes", "status"),
        [
            (b"BREW / HTTP/1.1\r\n\r\n", 501),
            (b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 501),
            (b"OPTIONS /identify HTTP/1.1\r\nOrigin: http://evil.example\r\n\r\n", 501),
            (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
            (b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 300 + b"\r\n", 431),
        ],
    )
    def test_what_is_no_request(self, server, request_bytes, status):
        reply = send(server, request_bytes)
        assert reply.status == status
        assert reply.error

    @pytest.mark.parametrize(
        "request_bytes",
        [
            *(b"", b"\r\n", b"\x16\x03\x01\x02", b"\x00" * 99),
            *(b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1 and more\r\n\r\n"),
        ],
    )
    def test_what_is_not_even_that(self, server, request_bytes, capfd):
        with socket.create_connection(server.server_address, timeout=30) as connection:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        assert get(server).status == 200
        assert capfd.readouterr().err == ""

    def test_a_browser_that_has_gone(self, server, capfd):
        for _ in range(5):
            with socket.create_connection(server.server_address, timeout=30) as connection:
                # Closed by a reset, where the answer can't be sent.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1] + [0] * 7))
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {server.url[7:]}\r\n\r\n".encode())
        assert post(server, "/identify", ANNA).status == 200
        assert capfd.readouterr().err == ""

    def test_one_that_sends_no_more_is_given_up(self, server, monkeypatch):
        monkeypatch.setattr(demo_server._Handler, "timeout", 0.1)
        with socket.create_connection(server.server_address, timeout=30) as connection:
            head = f"POST /identify HTTP/1.1\r\nHost: {server.url[7:]}\r\nOrigin: {server.url}\r\n"
            kind = "Content-Type: application/octet-stream\r\nContent-Length: 99\r\n\r\n"
            connection.sendall(f"{head}{kind}abc".encode())
            assert connection.recv(65536) == b""

    def test_uploads_wait_for_each_other(self, server, monkeypatch):
        """No more of them are in memory at a time than are allowed."""
        monkeypatch.setattr(server, "uploads", threading.BoundedSemaphore(1))
        with server.uploads, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(post, server, "/identify", ANNA)
            assert get(server).status == 200
            assert not waiting.done()
            server.uploads.release()
            assert waiting.result(30).status == 200
            server.uploads.acquire()

    def test_many_requests_at_a_time(self, server):
        """From four threads, with others among them that are refused."""
        first, second = (encoded(Image.effect_noise((32, 32), noise)) for noise in (20, 90))
        requests = [
            lambda: ask_compare(aligned, first, second),
            lambda: post(aligned, "/compare?first=3", b"no photo"),
            lambda: get(aligned, "/nothing"),
        ]
        answers = PhotoAnswers(server.answers.model, threshold=0.9, aligned=True)
        with serving(answers) as aligned, ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(lambda request: request(), requests * 100))
        assert [reply.status for reply in replies] == [200, 422, 404] * 100
        assert {reply.body for reply in replies[::3]} == {replies[0].body}
        assert replies[0].json == answers.compare(first, second)

    def test_photos_are_not_written(self, server, written_files):
        assert ask_compare(server, ANNA, ANNA_AGAIN).status == 200
        assert post(server, "/identify", ANNA).status == 200
        assert written_files == []


def test_the_end_waits_for_the_answer_that_is_computed(answers):
    with DemoServer(0) as server:
        thread = threading.Thread(target=server.serve, args=(answers,))
        thread.start()
        with answers._one_at_a_time:
            server.shutdown()
            assert thread.is_alive()
        thread.join(30)
        assert not thread.is_alive()


def test_a_port_in_use(server):
    port = server.server_address[1]
    with pytest.raises(InputError, match=f"^port {port} is in use: choose another with --port"):
        DemoServer(port)


def test_a_mistake_of_the_program_is_told(server, monkeypatch, capsys):
    monkeypatch.setattr(server.answers, "compare", lambda first, second: 1 / 0)
    with pytest.raises(IndexError):
        ask_compare(server, ANNA, ANNA)
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert get(server).status == 200
