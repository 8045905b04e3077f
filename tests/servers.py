"""Local HTTP servers that answer as a test wants, and remember what they were asked."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """A running server; `routes` from path to answer may change while it runs."""

    url: str
    routes: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def n_asked(self, path: str, method: str = "GET") -> int:
        return self.asked.count((method, path))


@contextlib.contextmanager
def running(wrap: Callable[[ThreadingHTTPServer], None] | None = None) -> Iterator[Server]:
    """Run a server on a free port of this machine; `wrap` may put TLS around its socket."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            server.asked.append((self.command, path))
            with contextlib.suppress(OSError):  # the client has gone
                server.routes.get(path, status(404))(self)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            """Keep standard error for the program under test."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that go away."""

    http = Quiet(("127.0.0.1", 0), Handler)
    scheme = "http"
    if wrap is not None:
        wrap(http)
        scheme = "https"
    server = Server(f"{scheme}://localhost:{http.server_address[1]}")
    thread = threading.Thread(
        target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def status(code: int, **headers: str) -> Answer:
    """Answer with a status and no content."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in ({"Content-Length": "0"} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return answer


def redirect(url: str, code: int = 302) -> Answer:
    """Send elsewhere."""
    return status(code, Location=url)


def serves(content: bytes, *, length: int | None = None, **headers: str) -> Answer:
    """Answer with a file, and with its length or another."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        told = {"Content-Length": str(len(content) if length is None else length)}
        for name, value in (told | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(content)

    return answer


def endless(request: BaseHTTPRequestHandler) -> None:
    """Answer without a length, and never end."""
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(b"\0" * 2**16)


def in_turn(*answers: Answer) -> Answer:
    """Answer each time in another way, and as the last one from then on."""
    left = list(answers)
    return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)


def cut_off(content: bytes) -> Answer:
    """Promise a file, send half of it, hang up."""
    return serves(content[: len(content) // 2], length=len(content))


def drips(content: bytes, stop: threading.Event, pause_s: float = 0.02) -> Answer:
    """Send a file byte by byte, until `stop` is set."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        for i in range(len(content)):
            if stop.wait(pause_s):
                return
            request.wfile.write(content[i : i + 1])

    return answer


def waits(content: bytes, reached: threading.Event, go_on: threading.Event) -> Answer:
    """Send half of a file, set `reached`, and send the rest once `go_on` is set."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        half = len(content) // 2
        request.wfile.write(content[:half])
        request.wfile.flush()
        reached.set()
        go_on.wait(60)
        request.wfile.write(content[half:])

    return answer
