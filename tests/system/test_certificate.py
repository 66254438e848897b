"""When a certificate ends, against what openssl says of it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from discovery.system.tls import ends_at
from tests.programs import program


def made(folder: Path, *options: str) -> Path:
    file = folder / "cert.pem"
    command = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-keyout", str(folder / "key.pem"), "-out", str(file), "-subj", "/CN=localhost"]
    subprocess.run([*command, *names, *options], check=True, capture_output=True)
    return file


def of_openssl(file: Path) -> float:
    said = subprocess.run(
        [program("openssl"), "x509", "-in", file, "-noout", "-enddate"], capture_output=True, text=True
    )
    return datetime.strptime(said.stdout.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "options",
    [
        ["-days", "10"],
        ["-days", "36500"],  # GeneralizedTime
        ["-days", "10", "-addext", "subjectAltName=" + ",".join(f"DNS:host-{n}.example" for n in range(50))],
    ],
    ids=["utc", "generalized", "long"],
)
def test_it_ends_when_openssl_says(tmp_path: Path, options: list[str]) -> None:
    file = made(tmp_path, *options)
    assert ends_at(file) == of_openssl(file)


def test_of_a_chain_the_first_counts(tmp_path: Path) -> None:
    own, other = made(tmp_path, "-days", "10").read_bytes(), made(tmp_path, "-days", "900").read_bytes()
    file = tmp_path / "chain.pem"
    file.write_bytes(b"some text before\n" + own + other)
    expected = of_openssl(file)
    assert ends_at(file) == expected


@pytest.mark.parametrize("octets", [b"", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", b"\xff\xfe"])
def test_what_is_no_certificate_is_said(tmp_path: Path, octets: bytes) -> None:
    file = tmp_path / "cert.pem"
    file.write_bytes(octets)
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's
        ends_at(file)


def test_one_that_is_cut_short_anywhere_is_said(tmp_path: Path) -> None:
    import base64
    import ssl

    whole = ssl.PEM_cert_to_DER_cert(made(tmp_path, "-days", "10").read_text())
    for length in range(0, len(whole), 7):
        text = base64.encodebytes(whole[:length]).decode()
        file = tmp_path / "cut.pem"
        file.write_text(f"-----BEGIN CERTIFICATE-----\n{text or 'AA=='}-----END CERTIFICATE-----\n")
        with pytest.raises(ValueError, match="cut short"):
            ends_at(file)
