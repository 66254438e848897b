"""Names and labels: which texts may name a service, and how two spellings compare."""

from __future__ import annotations

import string

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core import name as names
from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.name import fold, is_label, is_one_of, joined, label, parts_of, service_name

GOOD = {
    "one letter": "a",
    "one digit": "7",
    "only digits": "2024",
    "a digit first": "3scale",
    "hyphen inside": "user-service",
    "two hyphens": "xn--mnchen-3ya",
    "underscore inside": "user_service",
    "underscore last": "user_",
    "capitals": "UserService",
    "63 letters": "a" * 63,
}

BAD = {
    "empty": "",
    "blanks only": " \t ",
    "64 letters": "a" * 64,
    "a blank inside": "a b",
    "hyphen first": "-a",
    "hyphen last": "a-",
    "hyphen only": "-",
    "underscore first": "_tcp",
    "umlaut": "ä",
    "a path": "../x",
    "a dot": "a.b",
    "a slash": "a/b",
    "NUL": "a\0",
    "NUL inside": "a\0b",
    "a line inside": "a\nb",
    "a quote": 'a"b',
    "an asterisk": "*",
    "cyrillic look-alike": "\u0430pi",
    "kelvin sign, a k when lowered": "\u212a8s",
    "dotted capital i": "\u0130d",
    "fullwidth": "\uff57\uff45\uff42",
    "arabic digit": "a\u0661",
    "zero width joiner": "a\u200db",
    "half a surrogate": "a\ud800",
}

NO_TEXT = {"none": None, "number": 7, "true": True, "list": ["a"], "object": {"a": 1}, "bytes": b"a"}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_label_stays_as_it_was_spelt(text: str) -> None:
    assert label(text, "name") == text


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_label_is_one_label_to_another_dns_library(text: str) -> None:
    assert len(dns.name.from_text(label(text, "name"), origin=None).labels) == 1


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_text_that_is_no_label_is_refused_with_the_field_named(text: str) -> None:
    assert not is_label(text)
    with pytest.raises(InvalidField) as caught:
        label(text, "zone")
    assert caught.value.field == "zone"
    assert str(caught.value).startswith("zone")
    assert caught.value.reason


@pytest.mark.parametrize("value", NO_TEXT.values(), ids=NO_TEXT)
def test_what_is_no_text_is_no_label(value: object) -> None:
    with pytest.raises(InvalidField, match="name"):
        label(value, "name")


@pytest.mark.parametrize("text", [" web", "web ", "\tweb\n", "  web  "])
def test_surrounding_blanks_are_dropped(text: str) -> None:
    assert label(text, "name") == "web"


def test_a_name_that_is_too_long_is_told_how_long_it_is() -> None:
    with pytest.raises(InvalidField, match=r"64.*63"):
        label("a" * 64, "name")


def test_spellings_that_differ_by_case_are_one_name() -> None:
    assert fold("User-Service") == fold("user-SERVICE")
    assert fold("user-service") != fold("user_service")


NO_NAMES = ["", "  ", "a" * 256, "ä" * 256, "a\nb", "a\0b", "a\x7f", "a\x85b", "a\ud800", ".", "..", "\ufffd"]


@pytest.mark.parametrize(
    "text", [*GOOD.values(), "a b", "a/b", "../x", "*", "-", "ä" * 255, "a.b", "50%", "_tcp", "\u0430pi"]
)
def test_any_text_may_be_a_service_name(text: str) -> None:
    assert service_name(f" {text} ") == text
    assert parts_of(joined(["i", text, "id"])) == ["i", text, "id"]
    assert is_label(text) <= (joined([text]) == text), "what stood there before stays there"


@pytest.mark.parametrize("text", [*NO_NAMES, *NO_TEXT.values()])
def test_what_no_path_or_line_could_carry_is_no_service_name(text: object) -> None:
    with pytest.raises(InvalidField, match="name"):
        service_name(text)


def test_case_folds_in_ascii_alone() -> None:
    assert fold("\u212aELVIN \u0130 Ä") == "\u212aelvin \u0130 Ä"


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_parts_of_a_path_come_back_whatever_is_in_them(parts: list[str]) -> None:
    assert parts_of(joined(parts)) == parts
    assert joined(parts).count("/") == len(parts) - 1


def test_an_error_of_a_field_is_one_that_a_client_can_mend() -> None:
    assert issubclass(InvalidField, DiscoveryError)


ALPHABET = string.ascii_letters + string.digits + "-_"


@given(st.text(alphabet=st.one_of(st.sampled_from(ALPHABET + " .\0ä"), st.characters()), max_size=70))
def test_a_text_is_a_label_exactly_when_it_keeps_the_rules(text: str) -> None:
    bare = text.strip()
    rules = (
        1 <= len(bare) <= 63
        and all(letter in ALPHABET for letter in bare)
        and not bare.startswith(("-", "_"))
        and not bare.endswith("-")
    )
    try:
        accepted = label(text, "name") == bare
    except InvalidField:
        accepted = False
    assert accepted == rules


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", fullmatch=True))
def test_names_compare_as_dns_compares_them(text: str) -> None:
    def relative(spelling: str) -> dns.name.Name:
        return dns.name.from_text(spelling, origin=None)

    assert relative(label(text, "name")) == relative(fold(text)) == relative(text.swapcase())
    assert fold(text) == fold(text.swapcase()) == fold(fold(text))


@given(st.lists(st.text(max_size=3)), st.text(max_size=3))
def test_a_text_is_one_of_others_when_it_is_folded_as_one_of_them_is(texts: list[str], text: str) -> None:
    assert is_one_of(fold(text), texts) == (fold(text) in map(fold, texts))


def test_who_asks_for_names_that_nobody_has_does_not_have_all_tags_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(text: str) -> str:
        read.append(text)
        return fold(text)

    monkeypatch.setattr(names, "fold", counted)
    assert not is_one_of("blue", ["x" * 1024] * 16 + ["green", "GRAY"])
    assert read == ["GRAY"]
