"""TRANSFER_KEYS_FILE: what tsig-keygen writes, and what is said about the rest, without ever showing a secret."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from pathlib import Path

import dns.name
import pytest
from dns.tsig import Key

from discovery.plugins.transfer import keys

BASE64 = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0//8="
OURS = Key("sec-1", base64.b64decode(BASE64))
BLOCK = f'key "sec-1" {{\n\talgorithm hmac-sha256;\n\tsecret "{BASE64}";\n}};\n'


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        BLOCK.replace("\n", " "),
        f"key sec-1 {{ secret {BASE64.replace('//', '/+')}; algorithm HMAC-SHA256.; }} ;",
        f"# ours\n// and\n/* more\n of it */ {BLOCK} # end",
        f'key "SEC-1." {{ /* "}} */ algorithm "hmac-sha256"; // old;\n secret "{BASE64}"; }};',
    ],
)
def test_bind_syntax_is_understood(text: str) -> None:
    [found] = keys.parse(text).values()
    assert (found.name, found.algorithm) == (OURS.name, OURS.algorithm)
    assert base64.b64encode(found.secret).decode() in text


def test_there_may_be_several_in_their_order() -> None:
    two = BLOCK + BLOCK.replace("sec-1", "sec-2.example").replace("sha256", "sha512")
    assert list(keys.parse(two)) == [dns.name.from_text("sec-1"), dns.name.from_text("sec-2.example")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no key in it"),
        ("# nothing", "there is no key in it"),
        ("\n\nkeys", "line 3: no key"),
        (BLOCK + "options { };", "line 5: no key"),
        (BLOCK.replace("};", "}"), "line 1: no key"),
        (BLOCK + BLOCK, "sec-1 is there twice"),
        (BLOCK.replace("sec-1", "sec..1"), "no name for a key"),
        (BLOCK.replace("sha256", "md5"), "the algorithm is not known here; write one of hmac-sha224"),
        (BLOCK.replace("algorithm hmac-sha256;", ""), "it needs an algorithm and a secret"),
        (BLOCK.replace("algorithm", "secret"), "it has one algorithm and one secret"),
        (BLOCK.replace(BASE64, "?"), "the secret is not base64"),
        (BLOCK.replace(BASE64, "YWJj"), "the secret has 3 octets, 16 is the least"),
        (BLOCK.replace(BASE64, ""), "the secret has 0 octets"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        keys.parse(text)
    assert BASE64 not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "regular file"), (tmp_path / "binary", "ASCII")):
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        with pytest.raises(keys.KeysUnusable) as raised:
            keys.load(path)
        assert str(raised.value).startswith(f"TRANSFER_KEYS_FILE: {path}: ")
        assert said in str(raised.value)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_what_is_no_regular_file_is_refused_by_name_and_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "keys.conf"
    make(path)
    with pytest.raises(keys.KeysUnusable, match=re.escape(f"{path}: is not a regular file")):
        keys.load(path)
