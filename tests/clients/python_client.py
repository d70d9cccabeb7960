"""The official Python SDK: python_client.py URL MODE, where MODE is legacy, auto or a revision."""

import asyncio
import json
import sys

from mcp import Client


async def main(url: str, mode: str) -> None:
    async with Client(url, mode=mode) as client:
        tools = (await client.list_tools()).tools

        async def text(name: str, arguments: dict[str, object]) -> str:
            return (await client.call_tool(name, arguments)).content[0].text

        report = {
            "revision": client.protocol_version,
            "server": client.server_info.name if client.server_info else None,
            "tools": [tool.name for tool in tools],
            "echo": await text("demo__echo", {"text": "héllo"}),
            "add": await text("demo__add", {"a": 2, "b": 3}),
        }
        print(json.dumps(report))


asyncio.run(main(*sys.argv[1:3]))
