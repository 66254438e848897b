"""The records that instances give, by form of name and type. Which instances and for how long is `service_zone`'s
business; here they become records, with the ranks by which a reply orders them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from discovery.core.instance import Instance
from discovery.dns.message.names import Name
from discovery.dns.message.values import RR, Answer, Rank, Type
from discovery.dns.zones import records
from discovery.dns.zones.selector import Form, Match, instance_label
from discovery.store.service import Service


class Live(NamedTuple):
    """`owner`: the name asked. `instances`: those it means. `ttl` of every record, seconds."""

    origin: Name
    owner: Name
    service: Service
    instances: list[Instance]
    match: Match
    ttl: int

    def port(self, instance: Instance) -> int:
        return self.match(instance) or instance.spec.port

    def host(self, instance: Instance) -> Name:
        """The instance's own name, where its address is."""
        return (instance_label(instance.spec.ip, instance.spec.port), self.service.key, *self.origin)

    def address(self, instance: Instance) -> RR:
        ip = instance.spec.ip
        return RR(self.host(instance), records.address_type(ip), self.ttl, records.address(ip))


def types(form: Form) -> Iterable[int]:
    """The record types that names of that form may have."""
    return _MAKERS[form]


def has_type(form: Form, qtype: int) -> bool:
    """Whether names of that form may have records of that type."""
    return qtype in _MAKERS[form]


def answer(form: Form, qtype: int, live: Live) -> Answer | None:
    """None when names of that form, or these instances, have nothing of that type."""
    maker = _MAKERS[form].get(qtype)
    made = maker(live, qtype) if maker else None
    return made if made and made.answer else None


def _addresses(live: Live, qtype: int) -> Answer:
    meant = [one for one in live.instances if records.address_type(one.spec.ip) == qtype]
    return _each_once(live, qtype, meant, lambda one: records.address(one.spec.ip))


def _each_once(live: Live, qtype: int, instances: Iterable[Instance], rdata: Callable[[Instance], bytes]) -> Answer:
    """Instances that share a record add their weights."""
    ranks: dict[bytes, Rank] = {}
    for instance in instances:
        data, rank = rdata(instance), _rank(instance)
        shared = ranks.get(data)
        if shared is not None:
            rank = Rank(min(shared.priority, rank.priority), shared.weight + rank.weight)
        ranks[data] = rank
    rrs = (RR(live.owner, qtype, live.ttl, data) for data in ranks)
    return Answer(answer=tuple(rrs), ranks=tuple(ranks.values()))


def _srv(live: Live, qtype: int) -> Answer:
    return Answer(
        answer=tuple(RR(live.owner, Type.SRV, live.ttl, _srv_rdata(live, one)) for one in live.instances),
        companions=tuple((live.address(one),) for one in live.instances),
        ranks=tuple(map(_rank, live.instances)),
    )


def _rank(instance: Instance) -> Rank:
    return Rank(instance.spec.priority, instance.spec.weight)


def _srv_rdata(live: Live, instance: Instance) -> bytes:
    spec = instance.spec
    return records.srv(spec.priority, spec.weight, live.port(instance), live.host(instance))


def _txt(live: Live, qtype: int) -> Answer:
    return _each_once(live, Type.TXT, live.instances, records.txt)


def _browsed_txt(live: Live, qtype: int) -> Answer:
    return _each_once(live, Type.TXT, live.instances, records.browsed_txt)


def _pointers(live: Live, qtype: int) -> Answer:
    """PTR to each instance; SRV, TXT and address beside it, as RFC 6763 §12.1 wants them."""
    pointers, companions = [], []
    for instance in live.instances:
        protocol = b"_" + instance.spec.protocol.encode("ascii")
        label = instance_label(instance.spec.ip, instance.spec.port)
        name: Name = (label, b"_" + live.service.key, protocol, *live.origin)
        pointers.append(RR(live.owner, Type.PTR, live.ttl, records.name(name)))
        srv = RR(name, Type.SRV, live.ttl, _srv_rdata(live, instance))
        txt = RR(name, Type.TXT, live.ttl, records.browsed_txt(instance))
        companions.append((srv, txt, live.address(instance)))
    return Answer(answer=tuple(pointers), companions=tuple(companions), ranks=tuple(map(_rank, live.instances)))


def _bindings(live: Live, qtype: int) -> Answer:
    """SVCB for what speaks HTTP or HTTPS.

    An HTTPS record tells browsers to use TLS (RFC 9460 §9.5), so only what does has one.
    """
    ports = {one: records.http_port(one, tls_only=qtype == Type.HTTPS) for one in live.instances}
    speakers = {one: port for one, port in ports.items() if port is not None}
    return Answer(
        answer=tuple(RR(live.owner, qtype, live.ttl, _svcb_rdata(live, one, port)) for one, port in speakers.items()),
        companions=tuple((live.address(one),) for one in speakers),
        ranks=tuple(map(_rank, speakers)),
    )


def _svcb_rdata(live: Live, instance: Instance, port: int) -> bytes:
    return records.svcb(instance.spec.priority, live.host(instance), port, instance.spec.ip)


def _https_at_port(live: Live, qtype: int) -> Answer:
    speakers = [one for one in live.instances if _speaks_https_at(one, live.port(one))]
    return _bindings(live._replace(instances=speakers), qtype)


def _speaks_https_at(instance: Instance, port: int) -> bool:
    return records.http_port(instance, tls_only=True) == port


Maker = Callable[[Live, int], Answer]

_MAKERS: dict[Form, dict[int, Maker]] = {
    Form.HOST: {
        Type.A: _addresses,
        Type.AAAA: _addresses,
        Type.SRV: _srv,
        Type.TXT: _txt,
        Type.SVCB: _bindings,
        Type.HTTPS: _bindings,
    },
    Form.NAMED_PORT: {Type.SRV: _srv},
    Form.HTTPS_PORT: {Type.HTTPS: _https_at_port, Type.SVCB: _https_at_port},
    Form.SERVICE_TYPE: {Type.SRV: _srv, Type.PTR: _pointers},
    Form.SUBTYPE: {Type.PTR: _pointers},
    Form.BROWSED_INSTANCE: {Type.SRV: _srv, Type.TXT: _browsed_txt},
    Form.BRANCH: {},
}
