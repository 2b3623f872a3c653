"""What the built-in HTTP server takes for a request, byte by byte."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from mistral.service.http.options import Bounds
from mistral.service.http.server import HttpServer
from tests.lib.raw_http import PATIENCE, Echo, hear, parsed, served, talk

POST = b"POST /x HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
LAST = b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def app() -> Echo:
    return Echo()


@pytest.fixture(scope="module")
def server(app: Echo) -> Iterator[HttpServer]:
    with served(app, Bounds(body_size=200_000)) as found:
        yield found


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + LAST, b""),
        (b"GET http://x/y HTTP/1.1\r\nHost: x\r\n" + LAST, b""),
        (POST + b"Content-Length: 3\r\n" + LAST + b"abc", b"abc"),
        (CHUNKED + LAST + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (CHUNKED + LAST + b"3\r\nabc\r\n0\r\nContent-Type: x\r\n\r\n", b"abc"),
        (POST + b"Connection: close\r\nX: y\r\nContent-Length:  3 \r\n\r\nabc", b"abc"),
        (b"POST /x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"\r\nGET / HTTP/1.1\r\nHost: x\r\n" + LAST, b""),
    ],
)
@pytest.mark.parametrize("in_pieces", [False, True], ids=["at once", "in pieces"])
def test_requests(server: HttpServer, said: bytes, body: bytes, in_pieces: bool) -> None:
    if in_pieces:
        with socket.create_connection(server.address, timeout=PATIENCE) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            for position in range(len(said)):
                client.sendall(said[position : position + 1])
            answer = parsed(hear(client))
    else:
        answer = parsed(talk(server, said))
    assert (answer.status, answer.read()) == (200, body)
    assert answer.getheader("Date")


BAD_HEADS = {
    "both lengths": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "one length twice": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": b"Content-Length: +3\r\n\r\nabc",
    "a negative length": b"Content-Length: -3\r\n\r\nabc",
    "no length": b"Content-Length:\r\n\r\nabc",
    "a length that is none": b"Content-Length: 0x3\r\n\r\nabc",
    "an endless length": b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "a blank before the colon": b"Content-Length : 3\r\n\r\nabc",
    "a tab before the colon": b"X\t: 3\r\n\r\n",
    "no name": b": 3\r\n\r\n",
    "no colon": b"abc\r\n\r\n",
    "a line that goes on": b"X: a\r\n b\r\n\r\n",
    "a bare LF": b"X: a\nContent-Length: 3\r\n\r\nabc",
    "a bare CR": b"X: a\rContent-Length: 3\r\n\r\nabc",
    "CR CR LF": b"X: a\r\r\n\r\n",
    "NUL": b"X: a\0b\r\n\r\n",
    "two hosts": b"Host: y\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, not last": b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "never chunked": b"Transfer-Encoding: gzip\r\n\r\nabc",
    "nearly chunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "another protocol with a body": b"Connection: upgrade\r\nUpgrade: h2c\r\n"
    b"Content-Length: 3\r\n\r\nabc",
    "more than chunks": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
}
BAD_CHUNKS = {
    "no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "negative": b"-3\r\nabc\r\n0\r\n\r\n",
    "a blank before": b" 3\r\nabc\r\n0\r\n\r\n",
    "a blank behind": b"3 \r\nabc\r\n0\r\n\r\n",
    "nothing": b"\r\nabc\r\n0\r\n\r\n",
    "too short": b"2\r\nabc\r\n0\r\n\r\n",
    "endless": b"fffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "bare LF": b"3\nabc\n0\n\n",
    "bare LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "a bad trailer": b"3\r\nabc\r\n0\r\na b\r\n\r\n",
}
BAD_LINES = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no method": b" / HTTP/1.1\r\nHost: x\r\n\r\n",
    "unknown method": b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n",
    "blank in the path": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "control in the path": b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "blank before the first field": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "tunnel": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}
_BAD = {
    **{name: POST + said for name, said in BAD_HEADS.items()},
    **{f"chunk: {name}": CHUNKED + b"\r\n" + said for name, said in BAD_CHUNKS.items()},
    **{f"line: {name}": said for name, said in BAD_LINES.items()},
}


@pytest.mark.parametrize("said", _BAD.values(), ids=_BAD)
def test_what_is_no_request_is_refused_and_closed(
    server: HttpServer, app: Echo, said: bytes
) -> None:
    """Nothing behind it is taken for a request either."""
    before = len(app.asked)
    heard = talk(server, said + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = parsed(heard)
    assert answer.status in (400, 501, 505)
    assert answer.getheader("Connection") == "close"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert json.loads(answer.read())["faultstring"]
    assert heard.count(b"HTTP/1.1 ") == 1
    assert app.asked[before:] == []


@pytest.mark.parametrize("said", [CHUNKED + b"\r\nzz\r\n", b"GET / HTTP/1.1\r\nX" + b"x" * 70_000])
def test_who_is_refused_may_say_that_nothing_more_comes(
    server: HttpServer, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(server.address, timeout=PATIENCE) as client:
        client.sendall(said)
        heard = client.recv(65536)
        client.shutdown(socket.SHUT_WR)
        assert parsed(heard + hear(client)).status in (400, 431)
    assert "asyncio" not in {record.name for record in caplog.records}


def test_a_bad_request_behind_a_good_one(server: HttpServer) -> None:
    """The good one is answered, and nothing else."""
    good = POST + b"Content-Length: 2\r\n\r\nok"
    heard = talk(server, good + POST + b"Content-Length : 3\r\n\r\nabc")
    answer = parsed(heard)
    assert (answer.status, answer.read()) == (200, b"ok")
    assert heard.count(b"HTTP/1.1 ") <= 2


def test_requests_in_a_row(server: HttpServer) -> None:
    said = b"".join(POST + b"Content-Length: 1\r\n\r\n%d" % digit for digit in range(9))
    heard = talk(server, said + POST + b"Content-Length: 1\r\n" + LAST + b"9")
    bodies = [part.partition(b"\r\n\r\n")[2] for part in heard.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"%d" % digit for digit in range(10)]


def test_many_requests_ahead_of_their_answers_are_not_kept(server: HttpServer, app: Echo) -> None:
    before = len(app.asked)
    heard = talk(server, b"GET /early HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)
    answered = heard.count(b"HTTP/1.1 200 OK")
    # some, each whole, and whoever goes on is told by the last
    assert 32 <= answered <= 34
    assert len(app.asked) - before == answered
    assert heard.lower().count(b"connection: close") == 1
    assert heard.endswith(b"\r\n\r\n")


def test_who_says_nothing_more_is_answered(server: HttpServer) -> None:
    said = POST + b"Content-Length: 3\r\n\r\nabc"
    assert parsed(talk(server, said, then_silent=False)).read() == b"abc"


@pytest.mark.parametrize("said", [POST, POST + b"Content-Length: 5\r\n\r\nabc", b"GET"])
def test_half_a_request_is_none(server: HttpServer, app: Echo, said: bytes) -> None:
    before = len(app.asked)
    assert parsed(talk(server, said, then_silent=False)).status == 400
    assert app.asked[before:] == []


def test_head_has_no_body(server: HttpServer) -> None:
    heard = talk(server, b"HEAD /big HTTP/1.1\r\nHost: x\r\n" + LAST)
    assert heard.startswith(b"HTTP/1.1 200")
    assert heard.endswith(b"\r\n\r\n")
    assert b"content-length: 5242880" in heard.lower()


def test_who_asks_whether_to_go_on_is_told(server: HttpServer) -> None:
    with socket.create_connection(server.address, timeout=PATIENCE) as client:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n" + LAST)
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert parsed(hear(client)).read() == b"abc"


def test_who_asks_to_send_too_much_is_told(server: HttpServer) -> None:
    said = POST + b"Expect: 100-continue\r\nContent-Length: 200001\r\n\r\n"
    assert talk(server, said).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("head", [POST + b"Content-Length: 90000000\r\n\r\n", CHUNKED + b"\r\n"])
def test_a_large_body_is_refused_before_its_end(server: HttpServer, app: Echo, head: bytes) -> None:
    before = len(app.asked)
    piece = b"a" * 65530 + b"\r\n"
    with socket.create_connection(server.address, timeout=PATIENCE) as client:
        client.sendall(head)
        for _ in range(20):
            client.sendall(b"fffa\r\n" + piece)
        answer = parsed(hear(client))
    assert answer.status == 413
    assert "200000 bytes" in json.loads(answer.read())["faultstring"]
    assert app.asked[before:] == []


@pytest.mark.parametrize(
    "said",
    [
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 12_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000,
        b"\r\n" * 40_000,
    ],
    ids=["path", "value", "fields", "endless", "nothing"],
)
def test_a_large_head_is_refused(server: HttpServer, app: Echo, said: bytes) -> None:
    before = len(app.asked)
    assert parsed(talk(server, said)).status == 431
    assert app.asked[before:] == []


def test_a_head_of_sixty_kibibytes_is_none_too_large(server: HttpServer) -> None:
    said = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 60_000 + b"\r\n" + LAST
    assert parsed(talk(server, said)).status == 200


@pytest.mark.parametrize(
    "tail",
    [b"0\r\nX: " + b"a" * 200_000, b"1;" + b"a" * 200_000, b"0\r\n" + b"X: a\r\n" * 40_000],
    ids=["trailer", "extension", "trailers"],
)
def test_what_frames_a_body_has_a_limit(server: HttpServer, tail: bytes) -> None:
    assert parsed(talk(server, CHUNKED + b"\r\n" + tail)).status == 400


@pytest.mark.parametrize(("size", "count"), [(1, 4_000), (20, 9_000)])
def test_small_chunks_are_none_too_many(server: HttpServer, size: int, count: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (size, b"a" * size)
    said = CHUNKED + LAST + chunk * count + b"0\r\n\r\n"
    assert parsed(talk(server, said)).read() == b"a" * size * count


def test_many_small_chunks_are_refused(server: HttpServer, app: Echo) -> None:
    """Each takes the server's thread as long as kilobytes in a large one."""
    before = len(app.asked)
    answer = parsed(talk(server, CHUNKED + b"\r\n" + b"1\r\na\r\n" * 30_000))
    assert answer.status == 400
    assert "larger ones" in json.loads(answer.read())["faultstring"]
    assert len(app.asked) == before


def test_fields_of_a_head_are_counted(server: HttpServer, app: Echo) -> None:
    for count, status in ((200, 200), (15_000, 431)):
        answer = parsed(talk(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * count + LAST))
        assert answer.status == status
    assert "256 header fields" in json.loads(answer.read())["faultstring"]


def test_what_the_application_is_told(server: HttpServer) -> None:
    said = (
        b"PUT /environ?a=%20b HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\nX-A: 2\r\nX_A: 3\r\n"
        b"Content-Type: t\r\nTransfer-Encoding: chunked\r\n" + LAST
    )
    heard = talk(server, said + b"1\r\na\r\n0\r\nHost: evil\r\nX-B: 1\r\n\r\n")
    told = dict(eval(parsed(heard).read()))
    assert told["REQUEST_METHOD"] == "PUT"
    assert (told["PATH_INFO"], told["QUERY_STRING"]) == ("/environ", "a=%20b")
    assert (told["HTTP_HOST"], told["HTTP_X_A"]) == ("h:1", "1,2")
    assert (told["CONTENT_TYPE"], told["CONTENT_LENGTH"]) == ("t", "1")
    assert (told["REMOTE_ADDR"], told["SERVER_PROTOCOL"]) == ("127.0.0.1", "HTTP/1.1")
    assert not {"HTTP_X_B", "HTTP_TRANSFER_ENCODING"} & set(told)


@pytest.mark.parametrize("path", [b"//environ", b"///", b"//a:b/c", b"//a@b:99999999/c"])
def test_a_path_is_no_host(server: HttpServer, app: Echo, path: bytes) -> None:
    talk(server, b"GET %b HTTP/1.1\r\nHost: x\r\n%b" % (path, LAST))
    assert app.asked[-1] == f"GET {path.decode()}"


def test_paths_are_bytes(server: HttpServer, app: Echo) -> None:
    talk(server, b"GET /%C3%BC%2Fa%00%ff HTTP/1.1\r\nHost: x\r\n" + LAST)
    assert app.asked[-1] == "GET /\xc3\xbc/a\0\xff"


def test_another_protocol_is_not_spoken(server: HttpServer, app: Echo) -> None:
    said = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    heard = talk(server, said + b"GET /behind HTTP/1.1\r\nHost: x\r\n\r\n")
    assert parsed(heard).status == 200
    assert heard.count(b"HTTP/1.1 ") == 1
    assert app.asked[-1] == "GET /"
