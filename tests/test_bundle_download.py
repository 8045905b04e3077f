"""How a zip travels: against servers that are slow, broken, lying or unsafe."""

import contextlib
import datetime
import gzip
import hashlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("pooch", reason="needs the hub extra")

from servers import (
    Server,
    cut_off,
    drips,
    endless,
    in_turn,
    redirect,
    running,
    serves,
    status,
)
from synthdetect.bundle.address import WebAddress
from synthdetect.bundle.download import DownloadLimits, download
from synthdetect.errors import BundleError

CONTENT = bytes(range(256)) * 1000
QUICK = DownloadLimits(pause_s=0.01, silence_s=0.5, total_s=20)


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def address(server: Server) -> WebAddress:
    """Of `CONTENT`, whatever the server makes of it."""
    return address_at(server)


def address_at(server: Server, path: str = "/b.zip", content: bytes = CONTENT) -> WebAddress:
    return WebAddress(server.url + path, hashlib.sha256(content).hexdigest())


def refused(address: WebAddress, folder: Path, limits: DownloadLimits = QUICK) -> str:
    """The error of a download that must fail and leave nothing."""
    with pytest.raises(BundleError) as caught:
        download(address, folder, limits)
    message = str(caught.value)
    assert message.startswith(str(address))
    assert "\n" not in message
    assert list(folder.iterdir()) == []
    return message


def test_what_has_the_right_hash_is_there(
    server: Server, address: WebAddress, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server.routes["/b.zip"] = serves(CONTENT)
    assert download(address, tmp_path, QUICK).read_bytes() == CONTENT
    assert capfd.readouterr() == ("", "")


def test_a_file_without_a_length_is_taken(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    def answer(request):  # type: ignore[no-untyped-def]
        request.send_response(200)
        request.end_headers()
        request.wfile.write(CONTENT)

    server.routes["/b.zip"] = answer
    assert download(address, tmp_path, QUICK).read_bytes() == CONTENT


def test_another_hash_is_refused_at_once(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    other = b"other" + CONTENT
    server.routes["/b.zip"] = serves(other)
    message = refused(address, tmp_path)
    assert hashlib.sha256(other).hexdigest() in message
    assert server.n_asked("/b.zip") == 1


def test_a_compressed_answer_is_not_unpacked(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    server.routes["/b.zip"] = serves(gzip.compress(CONTENT), Content_Encoding="gzip")
    assert "has SHA-256" in refused(address, tmp_path)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(
    server: Server, address: WebAddress, tmp_path: Path, code: int
) -> None:
    server.routes["/b.zip"] = in_turn(status(code), status(code), serves(CONTENT))
    assert download(address, tmp_path, QUICK).read_bytes() == CONTENT
    assert server.n_asked("/b.zip") == 3


def test_what_does_not_pass_ends_after_the_last_attempt(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    server.routes["/b.zip"] = status(503)
    assert "status 503 Service Unavailable, after 4 attempts" in refused(address, tmp_path)
    assert server.n_asked("/b.zip") == 4


@pytest.mark.parametrize(
    ("code", "hint"), [(404, "check the address"), (403, "ask its publisher"), (401, "netrc")]
)
def test_what_stays_is_not_tried_again(
    server: Server, address: WebAddress, tmp_path: Path, code: int, hint: str
) -> None:
    server.routes["/b.zip"] = status(code)
    message = refused(address, tmp_path)
    assert f"status {code}" in message
    assert hint in message
    assert server.n_asked("/b.zip") == 1


def test_a_cut_off_file_is_fetched_again(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    server.routes["/b.zip"] = in_turn(cut_off(CONTENT), serves(CONTENT))
    assert download(address, tmp_path, QUICK).read_bytes() == CONTENT


def test_a_file_that_is_always_cut_off_is_refused(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    server.routes["/b.zip"] = cut_off(CONTENT)
    assert "the connection failed" in refused(address, tmp_path)


def test_a_length_that_is_too_short_is_noticed(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    server.routes["/b.zip"] = serves(CONTENT, length=len(CONTENT) - 1)
    assert f"({len(CONTENT) - 1} bytes)" in refused(address, tmp_path)


def test_a_told_length_over_the_limit_is_refused_unread(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    server.routes["/b.zip"] = serves(b"", length=10**12)
    assert "larger than" in refused(address, tmp_path)
    assert server.n_asked("/b.zip") == 1


def test_an_endless_file_is_left_at_the_limit(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    server.routes["/b.zip"] = endless
    limits = DownloadLimits(max_bytes=10**6, pause_s=0.01)
    assert "larger than 1000000 bytes" in refused(address, tmp_path, limits)


def test_a_silent_server_is_left(server: Server, address: WebAddress, tmp_path: Path) -> None:
    done = threading.Event()
    server.routes["/b.zip"] = lambda request: done.wait(30) and None
    limits = DownloadLimits(attempts=2, pause_s=0.01, silence_s=0.2)
    assert "timed out" in refused(address, tmp_path, limits)
    done.set()


def test_a_dripping_server_is_left_when_the_time_is_over(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    done = threading.Event()
    server.routes["/b.zip"] = drips(CONTENT, done)
    assert "not done after 1 s" in refused(address, tmp_path, DownloadLimits(total_s=0.6))
    done.set()


@pytest.mark.parametrize(
    "begin",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ids=["status", "header", "size of a chunk"],
)
def test_what_drips_before_the_content_ends_in_time_too(tmp_path: Path, begin: bytes) -> None:
    done = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(begin)
        for _ in range(200):
            if done.wait(0.05):
                return
            with contextlib.suppress(OSError):
                connection.sendall(b"1")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = WebAddress(f"http://127.0.0.1:{listening.getsockname()[1]}/b.zip", "0" * 64)
        thread = threading.Thread(target=lambda: answer(listening.accept()[0]), daemon=True)
        thread.start()
        start = time.monotonic()
        limits = DownloadLimits(attempts=1, silence_s=5, total_s=0.6)
        assert "not done after 1 s" in refused(address, tmp_path, limits)
        assert time.monotonic() - start < 5
        done.set()
        thread.join()


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    address = WebAddress(f"http://127.0.0.1:{port}/b.zip", "0" * 64)
    assert "refused" in refused(address, tmp_path)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(
    server: Server, address: WebAddress, tmp_path: Path, code: int
) -> None:
    server.routes |= {"/b.zip": redirect("/there", code), "/there": serves(CONTENT)}
    assert download(address, tmp_path, QUICK).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "target", ["http://example.org/b", "ftp://localhost/b", "file:///etc/hosts"]
)
def test_a_redirect_to_what_is_not_encrypted_is_refused(
    server: Server, address: WebAddress, tmp_path: Path, target: str
) -> None:
    server.routes["/b.zip"] = redirect(target)
    assert "redirects to" in refused(address, tmp_path)


def test_a_redirect_to_nonsense_is_refused(
    server: Server, address: WebAddress, tmp_path: Path
) -> None:
    server.routes["/b.zip"] = redirect("http://[")
    assert "makes no sense" in refused(address, tmp_path)


def test_redirects_in_a_circle_end(server: Server, address: WebAddress, tmp_path: Path) -> None:
    server.routes["/b.zip"] = redirect("/b.zip")
    assert "over 5 redirects" in refused(address, tmp_path)


def test_a_secret_in_a_query_is_in_no_error(server: Server, tmp_path: Path) -> None:
    server.routes["/b.zip"] = redirect("http://example.org/b?key=secret")
    assert "secret" not in refused(address_at(server, "/b.zip?key=secret"), tmp_path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PEM of a key and a self-signed certificate for localhost."""
    pytest.importorskip("cryptography", reason="needs the sign extra")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


class TestOverTls:
    """The same over https, with a certificate of the test's own."""

    @pytest.fixture
    def secure(self, certificate: Path) -> Iterator[Server]:
        def wrap(http: ThreadingHTTPServer) -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)

        with running(wrap) as server:
            yield server

    def test_a_trusted_server_is_used(
        self, secure: Server, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        secure.routes["/b.zip"] = serves(CONTENT)
        assert download(address_at(secure), tmp_path, QUICK).read_bytes() == CONTENT

    def test_an_untrusted_certificate_is_refused_at_once(
        self, secure: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        secure.routes["/b.zip"] = serves(CONTENT)
        assert "certificate is not trusted" in refused(address_at(secure), tmp_path)
        assert secure.n_asked("/b.zip") == 0

    def test_no_redirect_leaves_https_not_even_to_this_machine(
        self,
        secure: Server,
        server: Server,
        certificate: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        secure.routes["/b.zip"] = redirect(f"{server.url}/b.zip")
        server.routes["/b.zip"] = serves(CONTENT)
        assert "which is not https" in refused(address_at(secure), tmp_path)
        assert server.asked == []
