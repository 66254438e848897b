"""A service with py-eureka-client, unmodified, as a process of its own. Prints the ids that it finds of an app as a line of JSON whenever
they change. Lines on stdin: `out` and `back` override its status and end that, `end` ends it in order.

python eureka_client.py URL APP LOOKS_FOR
"""

from __future__ import annotations

import asyncio
import json
import sys

from py_eureka_client.eureka_client import EurekaClient


async def main(url: str, app: str, other: str) -> None:
    client = EurekaClient(
        eureka_server=url, app_name=app, instance_ip="127.0.0.1", instance_host="host-1", instance_port=7121,
        renewal_interval_in_secs=1, duration_in_secs=60, metadata={"k": "v"},
    )  # fmt: skip
    await client.start()
    watching = asyncio.create_task(watch(client, other))
    while (command := (await asyncio.to_thread(sys.stdin.readline)).strip()) != "end":
        await (client.status_update("OUT_OF_SERVICE") if command == "out" else client.delete_status_override())
    watching.cancel()
    await client.stop()


async def watch(client: EurekaClient, other: str) -> None:
    said = None
    while True:
        found = sorted(each.instanceId for each in client.applications.get_application(other).up_instances)
        if found != said:
            print(json.dumps({"found": found}), flush=True)
            said = found
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
