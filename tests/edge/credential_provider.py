"""AWS IoT's credential provider as far as a device sees it: TLS with client certificates."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ANSWER = {
    "credentials": {
        "accessKeyId": "ASIAEXAMPLE",
        "secretAccessKey": "secret/of+an=hour",
        "sessionToken": "token",
        "expiration": "2026-11-27T10:00:00Z",
    }
}
ALIAS, THING = "cards-dev-device", "shop-12"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass
class Authority:
    """Issues certificates into a folder."""

    folder: Path

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("a test's authority")
        made = self._certificate(self._name, self._key, authority=True)
        self.certificate = self.folder / "authority.pem"
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, password: bytes | None = None) -> Pair:
        """A certificate for a name; the key is encrypted with a password where one is given."""
        key = ec.generate_private_key(ec.SECP256R1())
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        made = self._certificate(_named(name), key, names=[name])
        pair.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        hiding = serialization.BestAvailableEncryption(password) if password else None
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                hiding or serialization.NoEncryption(),
            )
        )
        return pair

    def _certificate(
        self, name: x509.Name, key: Any, *, names: list[str] | None = None, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if authority:
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False,
                encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
        for each in names or []:
            alternative = x509.SubjectAlternativeName([x509.DNSName(each)])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass
class Provider:
    """A provider that runs.

    Attributes:
        endpoint: Host and port.
        authority: Issued its certificate, and those of the devices that it knows.
        status: What it answers with.
        body: And its bytes.
        asked: Path, thing and the certificate's name of each request.
    """

    endpoint: str
    authority: Authority
    status: int = 200
    body: bytes = field(default_factory=lambda: json.dumps(ANSWER).encode())
    asked: list[tuple[str, str, str]] = field(default_factory=list)


@contextmanager
def running(folder: Path) -> Iterator[Provider]:
    """Runs a provider on a free port of this machine."""
    authority = Authority(folder)
    own = authority.issue("localhost")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen = dict(pair[0] for pair in self.connection.getpeercert()["subject"])  # type: ignore[attr-defined]
            thing = self.headers.get("x-amzn-iot-thingname", "")
            provider.asked.append((self.path, thing, seen["commonName"]))
            self.send_response(provider.status)
            self.send_header("Content-Length", str(len(provider.body)))
            self.end_headers()
            self.wfile.write(provider.body)

        def log_message(self, format: str, *words: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # A client without the right certificate.

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.load_cert_chain(own.certificate, own.key)
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(("127.0.0.1", 0), Handler)
    # The handshake is made by the request's own thread: a refused one must not end the server.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    provider = Provider(f"localhost:{server.server_address[1]}", authority)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
