"""Servers that bundles are fetched from, and a proxy of ours that spoils connections in every way we know."""

import contextlib
import datetime
import hashlib
import ipaddress
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.aws.session import AwsSettings, StaticKeys
from agent.core.backoff import BackOff
from agent.core.network import NetworkSettings
from agent.core.revision import Revision
from agent.core.secret import Secret
from agent.sources.fetch import FetchedBundle, FetchLimits, FetchOptions, fetch

KEYS = StaticKeys(access_key_id="AKIAEXAMPLE0000", secret_access_key=Secret("secret0000"))
QUICK = FetchLimits(
    backoff=BackOff(first_s=0.01, ceiling_s=0.02, tries=4, longest_asked_s=2.0),
    part_bytes=256 << 10,
    stall_s=0.4,
    stall_bytes=4 << 10,
    total_timeout_s=20.0,
)


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection after so many bytes of answer; `reset` with RST. `then` runs just before."""

    after: int
    reset: bool = False
    then: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing more after so many bytes of answer."""

    after: int


@dataclass(frozen=True, slots=True)
class Drip:
    """Send single bytes after so many bytes of answer."""

    after: int


@dataclass(frozen=True, slots=True)
class Corrupt:
    """Change the byte at this place of the answer."""

    at: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the request oneself. `then` runs just before."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    then: Callable[[], object] = lambda: None


Fault = Cut | Stall | Drip | Corrupt | Answer | None


class FaultProxy:
    """Passes TCP connections on to `upstream`; each takes the next of `faults`, then `always`, None meaning none."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.always: Fault = None
        self.requests: list[bytes] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:  # a client's pool may keep idle connections for as long as its errors are held
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                fault = self.faults.pop(0) if self.faults else self.always
            self._clients.append(client)
            thread = threading.Thread(target=self._serve, args=(client, fault), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, fault: Fault) -> None:
        with contextlib.suppress(OSError), client:
            if isinstance(fault, Answer):
                self._answer(client, fault)
                return
            with socket.create_connection(self.upstream) as server:
                up = threading.Thread(target=self._pass_requests, args=(client, server), daemon=True)
                up.start()
                self._pass_answers(server, client, fault)
                for end in (server, client):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                up.join(5)

    def _answer(self, client: socket.socket, fault: Answer) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        self.requests.append(head)
        fault.then()
        headers = {"Content-Length": str(len(fault.body)), "Connection": "close", **fault.headers}
        lines = [f"HTTP/1.1 {fault.status} Because", *(f"{name}: {value}" for name, value in headers.items())]
        client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + fault.body)

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self.requests.append(data)
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)  # the client has gone; some servers would keep a half-open one

    def _pass_answers(self, server: socket.socket, client: socket.socket, fault: Fault) -> None:
        sent = 0
        while data := server.recv(65536):
            match fault:
                case Cut(after=after) if sent + len(data) > after:
                    client.sendall(data[: after - sent])
                    fault.then()
                    if fault.reset:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                case Stall(after=after) if sent + len(data) > after:
                    client.sendall(data[: after - sent])
                    self._stop.wait(10)
                    return
                case Drip(after=after) if sent + len(data) > after:
                    client.sendall(data[: after - sent])
                    for byte in data[after - sent :]:
                        if self._stop.wait(0.02):
                            return
                        client.sendall(bytes([byte]))
                    return
                case Corrupt(at=at) if sent <= at < sent + len(data):
                    changed = bytearray(data)
                    changed[at - sent] ^= 0xFF
                    client.sendall(changed)
                case _:
                    client.sendall(data)
            sent += len(data)


@dataclass(frozen=True, slots=True)
class Faults:
    """The kinds of fault, for tests to name."""

    cut: type[Cut] = Cut
    stall: type[Stall] = Stall
    drip: type[Drip] = Drip
    corrupt: type[Corrupt] = Corrupt
    answer: type[Answer] = Answer


@pytest.fixture(scope="session")
def fault() -> Faults:
    return Faults()


@pytest.fixture
def fault_proxy_to() -> Iterator[Callable[[str], FaultProxy]]:
    """Start fault proxies in front of a URL's host."""
    proxies: list[FaultProxy] = []

    def start(url: str) -> FaultProxy:
        host, _, port = url.split("://")[1].partition(":")
        proxies.append(FaultProxy((host, int(port))))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket on a server that speaks S3."""

    url: str
    name: str
    client: Any

    def put(self, key: str, data: bytes, **more: object) -> Any:
        return self.client.put_object(Bucket=self.name, Key=key, Body=data, **more)


def connect(url: str) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEYS.access_key_id,
        aws_secret_access_key=KEYS.secret_access_key.reveal(),
    )


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto_url: str, request: pytest.FixtureRequest) -> Bucket:
    """A versioned bucket of this test's own."""
    name = "b" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    client = connect(moto_url)
    client.create_bucket(Bucket=name)
    return Bucket(moto_url, name, client)


@dataclass(slots=True)
class Fetcher:
    """Fetches into a folder of its own and checks that nothing but the bundle is ever left there."""

    folder: Path
    options: FetchOptions
    progress: list[tuple[int, int | None]] = field(default_factory=list)

    @property
    def into(self) -> Path:
        return self.folder / "bundle.tar"

    def __call__(self, revision: Revision, **changes: Any) -> FetchedBundle:
        before = sorted(self.folder.iterdir())
        try:
            fetched = fetch(revision, self.into, self.with_(**changes), lambda *now: self.progress.append(now))
        except BaseException:
            assert sorted(self.folder.iterdir()) == before, "a failed fetch left something"
            raise
        assert [p.name for p in self.folder.iterdir()] == ["bundle.tar"]
        assert fetched.path == self.into
        assert fetched.size_bytes == self.into.stat().st_size
        return fetched

    def with_(self, **changes: Any) -> FetchOptions:
        return replace(self.options, **changes)


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    folder = tmp_path / "into"
    folder.mkdir()
    network = NetworkSettings(connect_timeout_s=2.0, read_timeout_s=0.5)
    return Fetcher(folder, FetchOptions(limits=QUICK, network=network))


@pytest.fixture
def aws_at() -> Callable[..., AwsSettings]:
    """Settings for a server at a URL, with the keys all test servers know."""

    def at(url: str, **more: Any) -> AwsSettings:
        return AwsSettings(**{"credentials": KEYS, "region": "us-east-1", "s3_endpoint_override": url, **more})

    return at


@pytest.fixture(scope="session")
def content() -> bytes:
    """Bytes in which no two stretches are alike: 3 MB and a bit."""
    return b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(98_310)) + b"end"


# --- a web server with TLS ---


@dataclass(slots=True)
class Page:
    """What a path of the web server answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    chunked: bool = False
    send_at_most: int | None = None
    """How many bytes to send before cutting the connection, for the first request only."""
    then: Callable[[], object] = lambda: None


class Site:
    """An https server on 127.0.0.1 (names localhost and files.example), with its own authority."""

    def __init__(self, ca: Path, context: ssl.SSLContext) -> None:
        self.ca = ca
        self.pages: dict[str, Page | list[Page]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _TlsServer(("127.0.0.1", 0), Handler, context)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.path, dict(handler.headers)))
        found = self.pages.get(handler.path.partition("?")[0], Page(status=404))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        body, status, headers = found.body, found.status, dict(found.headers)
        asked = handler.headers.get("Range", "")
        if asked and found.ranges and handler.headers.get("If-Range", "") == headers.get("ETag"):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body, status = body[start:], 206
        handler.send_response(status)
        headers["Transfer-Encoding" if found.chunked else "Content-Length"] = (
            "chunked" if found.chunked else str(len(body))
        )
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        self._send(handler, found, body)

    def _send(self, handler: BaseHTTPRequestHandler, page: Page, body: bytes) -> None:
        limit, page.send_at_most = page.send_at_most, None
        shown = body if limit is None else body[:limit]
        with contextlib.suppress(OSError):
            if page.chunked:
                for at in range(0, len(shown), 50_000):
                    piece = shown[at : at + 50_000]
                    handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                if limit is None:
                    handler.wfile.write(b"0\r\n\r\n")
            else:
                handler.wfile.write(shown)
            handler.wfile.flush()
        page.then()
        handler.close_connection = handler.close_connection or limit is not None


class _TlsServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(address, handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._context.wrap_socket(request, server_side=True) as tls:
            super().finish_request(tls, client_address)

    def handle_error(self, *_: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Certificates:
    ca: Path
    chain: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A self-signed certificate that is its own authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test site")])
    names = [x509.DNSName("localhost"), x509.DNSName("files.example"), x509.DNSName("api.example")]
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "chain.pem").write_bytes(pem + secret)
    return Certificates(folder / "ca.pem", folder / "chain.pem")


@pytest.fixture
def site(certificates: Certificates) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain)
    started = Site(certificates.ca, context)
    yield started
    started.close()


@pytest.fixture(scope="session")
def page() -> type[Page]:
    return Page


@pytest.fixture
def web_fetcher(fetcher: Fetcher, site: Site) -> Fetcher:
    """A fetcher that trusts the site's authority."""
    fetcher.options = replace(fetcher.options, network=replace(fetcher.options.network, ca_bundle=site.ca))
    return fetcher


class ConnectProxy:
    """A forward proxy that notes what it is asked for and leads every name to this host."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.logins: list[str] = []
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                proxy.serve(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def serve(self, handler: socketserver.StreamRequestHandler) -> None:
        first = handler.rfile.readline().decode()
        while (line := handler.rfile.readline().decode().strip()) != "":
            if line.lower().startswith("proxy-authorization:"):
                self.logins.append(line.split(":", 1)[1].strip())
        method, target, _ = first.split()
        self.asked.append(target)
        if method != "CONNECT":
            handler.wfile.write(b"HTTP/1.1 418 Proxied\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2]))) as server:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            client = handler.connection
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join(5)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def forward_proxy() -> Iterator[ConnectProxy]:
    proxy = ConnectProxy()
    yield proxy
    proxy.close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        limit = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < limit, "did not happen within 10 s"
            time.sleep(0.01)

    return wait
