"""
A local client of a relay, on the C{websockets} library, run as a process by the integration tests.

It takes a JSON object: C{url}; C{unix}, the path of a socket instead; C{authority}, a file with the
certificate to trust; C{shown}, the files of a certificate to show and its key; C{headers};
C{numbers}, how many numbered messages to send. It sends the text "text", the octets 00 ff and then
the numbers, waits for two messages unless there are numbers, and writes what it received, or the
status or the close code that it got instead.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus


async def talk(options: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {"additional_headers": options.get("headers"), "proxy": None}
    if "authority" in options:
        arguments["ssl"] = ssl.create_default_context(cafile=options["authority"])
        # As browsers and other clients do.
        arguments["ssl"].set_alpn_protocols(["http/1.1"])
        if "shown" in options:
            arguments["ssl"].load_cert_chain(*options["shown"])
    if "unix" in options:
        connecting = unix_connect(options["unix"], "ws://localhost/", **arguments)
    else:
        connecting = connect(options["url"], **arguments)
    numbers = options.get("numbers", 0)
    try:
        async with connecting as connection:
            if numbers:
                for number in range(numbers):
                    await connection.send(str(number))
                return {"sent": numbers}
            await connection.send("text")
            await connection.send(b"\x00\xff")
            received = [await connection.recv() for _ in range(2)]
            texts = [m if isinstance(m, str) else m.hex() for m in received]
            return {"received": texts, "text": [isinstance(m, str) for m in received]}
    except InvalidStatus as error:
        return {"status": error.response.status_code}
    except (ssl.SSLError, EOFError, InvalidMessage):
        return {"tls": "refused"}
    except ConnectionClosed as error:
        return {"code": error.rcvd.code if error.rcvd else None}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(talk(json.loads(sys.argv[1])))))
