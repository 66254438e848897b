"""Master files (RFC 1035 §5), read by dnspython, into StaticZones; and the zone made up where there is no file."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.tokenizer
import dns.transaction
import dns.zone
import dns.zonefile

from discovery.core.errors import DiscoveryError
from discovery.dns.message.names import Name, from_wire, to_wire
from discovery.dns.message.values import RR, Type
from discovery.dns.zones import records
from discovery.dns.zones.static_zone import StaticZone

SUFFIX = ".zone"
_MADE_UP_TTL = 60


class ZoneFileError(DiscoveryError):
    """A line for each mistake: `Zone file PATH: line 7: …`."""


def _error(path: Path, *reasons: str) -> ZoneFileError:
    return ZoneFileError("\n".join(f"Zone file {path}: {reason}" for reason in reasons))


def load(path: Path) -> StaticZone:
    """The zone in the file; its origin is the file's name without `.zone`. ZoneFileError names file and line of each mistake."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _error(path, "is not a regular file, and nothing else is read")
        zone = _new_zone(path)
        text = _with_includes(path, path.read_text(encoding="utf-8"))
        mistake = _read(zone, path, text)
        if mistake is not None:
            raise _error(path, *map(str, _mistakes(_at_its_line(mistake, path, text), path, text)))
        zone.check_origin()
    except (OSError, dns.exception.DNSException, ValueError) as error:
        raise _error(path, _text(error)) from None
    origin = zone.origin
    assert origin is not None
    return StaticZone(_name(origin), {_name(name): _rrsets(_name(name), node) for name, node in zone.nodes.items()})


class _Mistake(NamedTuple):
    """`file` "" is the zone file itself, otherwise one that it includes. `text`: of the line."""

    file: str
    line: int
    reason: str
    text: str = ""

    def __str__(self) -> str:
        file = f"{self.file}, " if self.file else ""
        return f"{file}line {self.line}: {self.reason}, in {self.text[:_MAX_SHOWN]!r}"


# Characters of a line.
_MAX_SHOWN = 200


# What dnspython puts in front of some of its messages.
_PLACE = re.compile(r"^.*?:\d+: ")


def _read(zone: dns.zone.Zone, path: Path, text: str) -> _Mistake | None:
    """Fills the zone; the first mistake otherwise."""
    with zone.writer(True) as transaction:
        transaction.check_put_rdataset(_check)
        tokens = dns.tokenizer.Tokenizer(text, str(path))
        reader = dns.zonefile.Reader(tokens, dns.rdataclass.IN, transaction, allow_include=True)
        try:
            reader.read()
        except (dns.exception.DNSException, ValueError) as error:
            file, line = reader.tok.where()
            if reader.current_file is not None:
                reader.current_file.close()
            return _Mistake("" if file == str(path) else file, line, _text(error))
    return None


# Mistakes of a file that are told, and octets that are read again and again for them: a large file is read twice for each.
_MOST_MISTAKES = 20
_READ_FOR_MISTAKES = 2_000_000


def _mistakes(first: _Mistake, path: Path, text: str) -> Iterator[_Mistake]:
    """The first, and those that are found when its line is left out, and so on. Not those that may only follow from it: what has its owner
    from such a line, and all behind a mistake in brackets, in quotes or in another file.
    """
    lines = text.splitlines()
    mistake: _Mistake | None = first
    for _ in range(max(1, min(_MOST_MISTAKES, _READ_FOR_MISTAKES // len(text)))):
        if mistake is None:
            return
        yield mistake
        if mistake.file or not 0 < mistake.line <= len(lines) or not _stands_alone(lines[mistake.line - 1]):
            return
        at = mistake.line - 1
        lines[at] = ""
        while (at := at + 1) < len(lines) and lines[at][:1].isspace():
            lines[at] = ""
        left = "\n".join(lines) + "\n"
        found = _read(_new_zone(path), path, left)
        again = None if found is None else _at_its_line(found, path, left)
        mistake = None if again is None or again.line <= mistake.line else again


def _stands_alone(line: str) -> bool:
    return not line.startswith("$") and line.count('"') % 2 == 0 and not re.search(r"[()]", line)


def _at_its_line(mistake: _Mistake, path: Path, text: str) -> _Mistake:
    """dnspython counts a line end as soon as it has read it, so a mistake found there is told for the line after."""
    if mistake.file:
        text = Path(mistake.file).read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    before = "".join(lines[: mistake.line - 1])
    again = _read(_new_zone(path), path, "$TTL 0\n" + before)  # which an included file has from the one around it
    line = mistake.line - 1 if again and again.reason == mistake.reason else mistake.line
    return mistake._replace(line=line, text="".join(lines[line - 1 : line]).strip())


def _new_zone(path: Path) -> dns.zone.Zone:
    return dns.zone.Zone(path.name.removesuffix(SUFFIX), relativize=False)


def _text(error: Exception) -> str:
    """Without the place, and in words where dnspython has none: of an address it says no more than that it is wrong."""
    text = _PLACE.sub("", str(error)) or type(error).__name__
    return "is no record that can be read" if text == dns.exception.SyntaxError.__doc__ else text


# What a name can have one of: RFC 1035 §6.1, RFC 2181 §10.1, RFC 6672 §2.4. dnspython would keep the last.
_SINGLE = (dns.rdatatype.SOA, dns.rdatatype.CNAME, dns.rdatatype.DNAME)
# Types that are no data (RFC 6895 §3.1): 0 is reserved, OPT belongs to a message, the others are for questions.
_NO_DATA = {0, Type.OPT, *range(128, 256)}


def _check(transaction: dns.transaction.Transaction, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
    """ValueError for what other servers refuse to load, and dnspython does not. They would not take such a zone in a transfer."""
    rtype = rdataset.rdtype
    if rtype in _NO_DATA:
        raise ValueError(f"{dns.rdatatype.to_text(rtype)} is no type of a record in a zone")
    if rtype in _SINGLE and transaction.get(name, rtype) not in (None, rdataset):
        raise ValueError(f"{name} has more than one {dns.rdatatype.to_text(rtype)}")
    if rtype == dns.rdatatype.NS and name.is_wild():
        raise ValueError(f"{name} is a wildcard, which cannot be delegated (RFC 4592 §4.2)")
    if rtype == dns.rdatatype.DS and name == transaction.manager.origin_information()[0]:
        raise ValueError(f"DS of {name} belongs into the zone above (RFC 4035 §2.4)")


def load_all(folder: Path) -> list[StaticZone]:
    """ZoneFileError with the mistakes of all files."""
    zones, mistakes = [], []
    for path in files(folder):
        try:
            zones.append(load(path))
        except ZoneFileError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ZoneFileError("\n".join(mistakes))
    return zones


def files(folder: Path) -> list[Path]:
    """Every `*.zone` in the folder but hidden ones (editors' locks), each named after its zone; none when there is no such folder."""
    return sorted(folder.glob(f"[!.]*{SUFFIX}"))


def made_up(origin: Name, addresses: Iterable[str], negative_ttl: int) -> StaticZone:
    """An SOA and an NS for a zone without a file. `addresses` are those that this server answers at."""
    host = (b"ns", *origin)
    soa = records.soa(host, (b"hostmaster", *origin), 0, negative_ttl)
    nodes: dict[Name, dict[int, tuple[RR, ...]]] = {
        origin: {
            Type.SOA: (RR(origin, Type.SOA, _MADE_UP_TTL, soa),),
            Type.NS: (RR(origin, Type.NS, _MADE_UP_TTL, to_wire(host)),),
        },
        host: {},
    }
    for ip in addresses:
        if not ipaddress.ip_address(ip).is_unspecified:
            rtype = records.address_type(ip)
            rr = RR(host, rtype, _MADE_UP_TTL, records.address(ip))
            nodes[host][rtype] = (*nodes[host].get(rtype, ()), rr)
    return StaticZone(origin, nodes)


# RFC 1035 §5.1: `$INCLUDE file [origin]`.
_INCLUDE = re.compile(r"^(\s*\$INCLUDE\s+)(\S+)", re.IGNORECASE | re.MULTILINE)


def _with_includes(path: Path, text: str) -> str:
    """The text with included files named in full, relative to the zone file; outside its folder they are refused."""
    folder = path.parent.resolve()

    def in_full(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.end()) + 1
        included = (folder / match[2].strip('"')).resolve()
        if not included.is_relative_to(folder):
            raise _error(path, f"line {line}: $INCLUDE {match[2]} lies outside {path.parent}, which is not allowed")
        if not included.is_file():
            raise _error(path, f"line {line}: $INCLUDE {match[2]}: there is no such file")
        if _directives(included.read_text(encoding="utf-8")):
            raise _error(path, f"line {line}: {match[2]} has an $INCLUDE of its own, one level is all that is read")
        return f'{match[1]}"{included}"'

    written = {text.count("\n", 0, match.end()) + 1 for match in _INCLUDE.finditer(text)}
    for line in _directives(text):
        if line not in written:
            raise _error(path, f"line {line}: $INCLUDE must stand at the start of its line")
    return _INCLUDE.sub(in_full, text)


def _directives(text: str) -> list[int]:
    """The lines of all tokens that dnspython might take for an $INCLUDE, wherever they stand."""
    tokens = dns.tokenizer.Tokenizer(text)
    lines: list[int] = []
    with contextlib.suppress(dns.exception.DNSException):  # reading the file will say what is wrong with it
        while not (token := tokens.get()).is_eof():
            if str(token.value).upper() == "$INCLUDE":
                lines.append(tokens.where()[1])
    return lines


def _name(name: dns.name.Name) -> Name:
    return from_wire(name.to_digestable())


def _rrsets(owner: Name, node: Iterable[dns.rdataset.Rdataset]) -> dict[int, tuple[RR, ...]]:
    """By type; signatures over several types are several RRsets to dnspython and one to a question."""
    rrsets: dict[int, tuple[RR, ...]] = {}
    for rdataset in node:
        rtype = int(rdataset.rdtype)
        rrs = (RR(owner, rtype, rdataset.ttl, rdata.to_wire() or b"") for rdata in rdataset)
        rrsets[rtype] = (*rrsets.get(rtype, ()), *rrs)
    return rrsets
