"""What the tests do with the official Python SDK, printed as one report.

The argument is JSON, as scenarios.mjs describes it, and so is the report.
"""

import asyncio
import json
import logging
import re
import sys
import urllib.request
import warnings
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress

import anyio
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters

TARGET = json.loads(sys.argv[1])
LEGACY = TARGET["era"] == "legacy"
COMMAND = TARGET.get("command")
CLOCK = "demo://clock"

# What the modern era took away is deprecated in the SDK.
warnings.simplefilter("ignore")


class Listener(logging.Handler):
    """How a client's user answers, and what the client hears without having asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.updates: asyncio.Queue[str] = asyncio.Queue()
        self.changes: asyncio.Queue[None] = asyncio.Queue()
        self.logs: list[list[str]] = []
        self.errors: list[str] = []
        self.answers = [
            types.ElicitResult(action="accept", content={"name": "Ada"}),
            types.ElicitResult(action="decline"),
        ]

    async def message(self, message: object) -> None:
        match message:
            case types.ResourceUpdatedNotification(params=params):
                self.updates.put_nowait(params.uri)
            case types.ToolListChangedNotification():
                self.changes.put_nowait(None)
            case Exception():
                self.errors.append(str(message))

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logs.append([params.level, params.data])

    async def elicit(self, _context: object, _params: object) -> types.ElicitResult:
        return self.answers.pop(0)

    async def sample(
        self, _context: object, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        text = params.messages[0].content_as_list[0].text.upper()
        content = types.TextContent(type="text", text=text)
        return types.CreateMessageResult(role="assistant", model="shout", content=content)


def client(listener: Listener, url: str = "url") -> Client:
    command = COMMAND and StdioServerParameters(command=COMMAND[0], args=COMMAND[1:])
    return Client(
        command or TARGET[url],
        mode="legacy" if LEGACY else "auto",
        elicitation_callback=listener.elicit,
        sampling_callback=listener.sample,
        logging_callback=listener.log,
        # For the modern era, where each request says which messages it wants.
        log_level="info",
        message_handler=listener.message,
    )


def said(result: types.CallToolResult) -> str:
    return result.content[0].text


async def outcome(call: Awaitable[types.CallToolResult]) -> str:
    """What a call comes to, one way or the other."""
    try:
        return said(await call)
    except MCPError as error:
        return error.message


async def lists(session: Client) -> dict:
    """What the node's server `demo` offers."""

    def names(items: list, key: str) -> list[str]:
        return [n for n in (getattr(item, key) for item in items) if n.startswith("demo")]

    templates = (await session.list_resource_templates()).resource_templates
    return {
        "tools": names((await session.list_tools()).tools, "name"),
        "prompts": names((await session.list_prompts()).prompts, "name"),
        "resources": names((await session.list_resources()).resources, "uri"),
        "templates": names(templates, "uri_template"),
    }


async def calls(session: Client) -> dict:
    steps = []

    async def step(progress: float, total: float, _message: str | None) -> None:
        if progress < total:
            steps.append([progress, total])

    total = await session.call_tool("demo__add", {"a": 0.5, "b": 1})
    failed = await session.call_tool("demo__fail")
    slow = await session.call_tool("demo__slow", {"seconds": 0.75}, progress_callback=step)
    try:
        unknown = said(await session.call_tool("demo__nothing"))
    except MCPError as error:
        unknown = error.code
    return {
        "echo": said(await session.call_tool("demo__echo", {"text": "héllo"})),
        "add": [said(total), total.structured_content],
        "fail": [said(failed), failed.is_error],
        "unknown": unknown,
        "slow": [said(slow), steps],
    }


async def reads(session: Client) -> dict:
    async def read(uri: str) -> str:
        return (await session.read_resource(uri)).contents[0].text

    async def complete(ref: types.PromptReference | types.ResourceTemplateReference) -> list[str]:
        argument = {"name": "name", "value": "a"}
        return (await session.complete(ref, argument)).completion.values

    prompt = await session.get_prompt("demo__greet", {"name": "Ada"})
    return {
        "greeting": await read("demo://greeting/Ada"),
        "clock": bool(re.fullmatch(r"\d\d:\d\d:\d\d", await read(CLOCK))),
        "prompt": prompt.messages[0].content.text,
        "completions": [
            await complete(types.PromptReference(name="demo__greet")),
            await complete(types.ResourceTemplateReference(uri="demo://greeting/{name}")),
        ],
    }


async def questions(session: Client) -> dict:
    """The node asks: the user by a form, who refuses the second one, and the client's model."""
    return {
        "ask": [said(await session.call_tool("demo__ask")) for _ in range(2)],
        "summarize": said(await session.call_tool("demo__summarize", {"text": "much"})),
    }


@asynccontextmanager
async def watching(session: Client) -> AsyncIterator[None]:
    """Has the node tell what changes: lists, which it tells by itself in the legacy era, and the
    clock."""
    if LEGACY:
        await session.subscribe_resource(CLOCK)
        yield
        await session.unsubscribe_resource(CLOCK)
    else:
        async with session.listen(tools_list_changed=True, resource_subscriptions=[CLOCK]):
            yield


async def cancel(session: Client, tool: str, arguments: dict) -> str:
    """Gives a call up once it runs."""
    with anyio.CancelScope() as scope:

        async def give_up(*_: object) -> None:
            scope.cancel()

        return said(await session.call_tool(tool, arguments, progress_callback=give_up))
    return "enough"


async def cut(neighbour: Client) -> dict:
    """The connection breaks while a call runs; a neighbour's call runs on."""

    def knock() -> None:
        # The knock is cut as well.
        with suppress(OSError):
            urllib.request.urlopen(TARGET["cut"])

    async def running(*_: object) -> None:
        await anyio.to_thread.run_sync(knock)

    held = asyncio.create_task(neighbour.call_tool("test__hold"))
    listener = Listener()
    async with client(listener, "proxy") as session:
        if LEGACY:
            await session.subscribe_resource(CLOCK)
            await listener.updates.get()
        report = {
            "broken": await outcome(session.call_tool("test__hold", progress_callback=running)),
            "neighbour": said(await held),
            "after": said(await session.call_tool("demo__echo", {"text": "on"})),
        }
        if LEGACY:
            listener.updates = asyncio.Queue()
            report["update"] = await listener.updates.get()
    return {**report, "errors": listener.errors}


async def more(session: Client) -> dict:
    """What only the tests' own servers have, which HTTP leads to."""
    return {
        # Its argument has to come as a header as well, in the modern era.
        "mirrored": said(await session.call_tool("talk__headers", {"region": "eu"})),
        "cancel": await cancel(session, "test__hold", {}),
        "ended": said(await session.call_tool("test__ended")),
        "cut": await cut(session),
    }


async def main() -> None:
    listener = Listener()
    logging.getLogger().addHandler(listener)
    async with client(listener) as session:
        if LEGACY:
            await session.send_ping()
        report = {
            "revision": session.protocol_version,
            "server": session.server_info.name,
            "lists": await lists(session),
            "calls": await calls(session),
            "reads": await reads(session),
            "questions": await questions(session),
        }
        async with watching(session):
            report["watch"] = await listener.updates.get()
            if not COMMAND:
                await session.call_tool("talk__grow")
                await listener.changes.get()
                tools = (await session.list_tools()).tools
                report["changed"] = any(tool.name.startswith("talk__new") for tool in tools)
        if LEGACY:
            await session.set_logging_level("info")
        # Of the servers that standard input leads to, none logs.
        await session.call_tool("demo__fail" if COMMAND else "talk__tell")
        report["logs"] = listener.logs
        if COMMAND:
            report["cancel"] = await cancel(session, "demo__slow", {"seconds": 5})
        else:
            report |= await more(session)
    report["errors"] = listener.errors
    print(json.dumps(report))


asyncio.run(main())
