"""What a service does with a Consul client for Python, unmodified: py-consul, or python-consul2 where that is first on the path. Prints
what it sees as one line of JSON, by step.

python consul_client.py PORT NAME
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import consul  # type: ignore[import-untyped]  # it has no types


def main(port: int, name: str) -> dict[str, Any]:
    client, said = consul.Consul(host="127.0.0.1", port=port), {}

    def ids(**asked: Any) -> list[str]:
        return sorted(row["Service"]["ID"] for row in client.health.service(name, **asked)[1])

    said["name"] = client.agent.self()["Config"]["NodeName"]
    said["leader"] = client.status.leader()
    ttl = consul.Check.ttl("30s")
    register = client.agent.service.register
    said["registered"] = [
        register(name, service_id="a", address="10.0.0.1", port=8080, tags=["v1"], check=ttl),
        register(name, service_id="b", address="10.0.0.2", port=8080, tags=["v2"], check=ttl),
    ]
    said["all"], said["before"] = ids(), ids(passing=True)
    said["passed"] = [client.agent.check.ttl_pass(f"service:{id}", notes="well") for id in "ab"]
    said["passing"], said["tagged"] = ids(passing=True), ids(tag="v2")
    said["services"] = client.catalog.services()[1]
    said["rows"] = [row["ServiceAddress"] for row in client.catalog.service(name)[1]]
    said["states"] = sorted(check["CheckID"] for check in client.health.checks(name)[1])
    said["agent"] = sorted(client.agent.services())
    index = client.health.service(name, passing=True)[0]
    timer = threading.Timer(0.3, client.agent.check.ttl_fail, ("service:a",))
    timer.start()
    later, rows = client.health.service(name, index=index, wait="30s", passing=True)
    timer.join()
    said["waited"] = [int(later) > int(index), [row["Service"]["ID"] for row in rows]]
    said["maintenance"] = client.agent.service.maintenance("b", "true", "a new disk")
    said["out"] = ids(passing=True)
    client.agent.service.maintenance("b", "false")
    said["key"] = client.kv.get("config/nothing")[1]
    said["unknown"] = [client.health.service("nobody")[1], client.catalog.node("nobody")[1]]
    try:
        client.agent.check.ttl_pass("service:nobody")
    except consul.ConsulException as error:
        said["refused"] = str(error)
    said["external"] = client.catalog.register(
        "ext", "192.0.2.9", service={"Service": f"{name}-db", "ID": "db", "Port": 5432}
    )
    said["database"] = [row["Node"]["Node"] for row in client.health.service(f"{name}-db")[1]]
    client.catalog.deregister("ext")
    said["gone"] = [client.agent.service.deregister(id) for id in ("a", "b", "nobody")]
    said["left"] = ids()
    return said


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), sys.argv[2])))
