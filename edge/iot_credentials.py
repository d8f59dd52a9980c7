"""Temporary AWS credentials for a device's certificate, from AWS IoT's credential provider.

https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
The certificate stays the device's only secret; what it is exchanged for ends after an hour. The
answer is what ``credential_process`` of an AWS configuration file expects:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.fleet.device_report import is_device_id
from registry.untrusted.json_object import JsonObjectError, parse_object
from registry.untrusted.object_fields import moment, text
from registry.untrusted.text import one_line, shortened

#: What an error says where the network is away: it passes, and is no fault of the device.
NO_ANSWER = "does not answer"
#: For connecting, and for each read.
_SECONDS = 10.0
_LIMIT = 16 * 1024
_HTTPS = 443
_ENDPOINT = re.compile(r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))(?::(?P<port>[0-9]{1,5}))?")
#: As AWS IoT names role aliases.
_ALIAS = re.compile(r"[\w=,@-]{1,128}", re.ASCII)


class CredentialError(RuntimeError):
    """No credentials; one line with the cause and the remedy."""


@dataclass(frozen=True)
class Certificate:
    """What a device identifies itself with.

    Attributes:
        certificate: Path of the X.509 certificate, PEM.
        key: Path of its private key, PEM, not encrypted.
        authorities: Path of the certificates to trust, PEM; None takes the system's.
    """

    certificate: Path
    key: Path
    authorities: Path | None = None


@dataclass(frozen=True)
class CredentialProvider:
    """AWS IoT's credential provider of one account and region.

    Attributes:
        endpoint: Its host, and a port other than 443 after a colon.
        role_alias: The role alias of the deployment's devices.
        thing: The device's name in AWS IoT; the role's policy allows it its own report by it.
        seconds: For connecting, and for each read.
    """

    endpoint: str
    role_alias: str
    thing: str
    seconds: float = _SECONDS

    def credentials(self, identity: Certificate) -> dict[str, str | int]:
        """Asks for credentials; returns the document of ``credential_process``.

        Raises:
            CredentialError: A name or a file is not what it should be, the provider refuses or does
                not answer, or its answer is none.
        """
        host, port = self._checked()
        context = _context(identity)
        connection = http.client.HTTPSConnection(host, port, timeout=self.seconds, context=context)
        try:
            connection.request(
                "GET",
                f"/role-aliases/{self.role_alias}/credentials",
                headers={"x-amzn-iot-thingname": self.thing},
            )
            answer = connection.getresponse()
            status, body = answer.status, answer.read(_LIMIT + 1)
        except ssl.SSLError as error:
            raise CredentialError(
                f"{self.endpoint}: no TLS connection ({_reason(error)}); compare the endpoint "
                "with: aws iot describe-endpoint --endpoint-type iot:CredentialProvider, and look "
                "whether the certificate is active"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise CredentialError(f"{self.endpoint}: {NO_ANSWER} ({_reason(error)})") from None
        finally:
            connection.close()
        if status != http.client.OK:
            raise CredentialError(
                f"{self.endpoint}: refused with {status}{_message(body)}; the certificate must be "
                f"active, be attached to the thing {self.thing}, and have the deployment's policy "
                f"for the role alias {self.role_alias}"
            )
        return _document(body, self.endpoint)

    def _checked(self) -> tuple[str, int]:
        """Host and port, after every name was looked at.

        Raises:
            CredentialError: One is none.
        """
        found = _ENDPOINT.fullmatch(self.endpoint)
        if found is None:
            raise CredentialError(
                f"{self.endpoint!r} is no endpoint: name the host alone, as aws iot "
                "describe-endpoint --endpoint-type iot:CredentialProvider shows it"
            )
        if not _ALIAS.fullmatch(self.role_alias):
            raise CredentialError(
                f"{self.role_alias!r} is no role alias: it is an output of the access stack"
            )
        if not is_device_id(self.thing):
            raise CredentialError(
                f"{self.thing!r} is no name of a thing: 1 to 128 letters, digits and :_-"
            )
        return found["host"], int(found["port"] or _HTTPS)


def _context(identity: Certificate) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=identity.authorities)
    except (OSError, ssl.SSLError) as error:
        raise CredentialError(
            f"{identity.authorities}: holds no certificates to trust ({_reason(error)})"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without the password of an encrypted key nobody is asked for one.
        context.load_cert_chain(identity.certificate, identity.key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise CredentialError(
            f"{identity.certificate}, {identity.key}: are no certificate and its key, not "
            f"encrypted, that this user may read ({_reason(error)})"
        ) from None
    return context


def _document(body: bytes, label: str) -> dict[str, str | int]:
    try:
        found = parse_object(body, _LIMIT).get("credentials")
        if not isinstance(found, Mapping):
            raise ValueError("credentials are missing")
        return {
            "Version": 1,
            "AccessKeyId": text(found, "accessKeyId", _LIMIT),
            "SecretAccessKey": text(found, "secretAccessKey", _LIMIT),
            "SessionToken": text(found, "sessionToken", _LIMIT),
            "Expiration": moment(found, "expiration").isoformat(timespec="seconds"),
        }
    except (ValueError, OverflowError) as error:
        raise CredentialError(f"{label}: answers without credentials ({error})") from None


def _message(body: bytes) -> str:
    """What a refusal says, for the error's line."""
    try:
        document: Mapping[str, Any] = parse_object(body, _LIMIT)
    except JsonObjectError:
        return ""
    said = document.get("message")
    return f" ({shortened(one_line(said))})" if isinstance(said, str) and said else ""


def _reason(error: Exception) -> str:
    return one_line(str(getattr(error, "strerror", None) or error)) or type(error).__name__
