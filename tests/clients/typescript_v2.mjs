// The official TypeScript SDK 2.x, in the legacy era, or in what it finds by itself, which is the
// modern one.
import {
  Client,
  LOG_LEVEL_META_KEY,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { CLOCK, legacy, run, target } from "./scenarios.mjs";

async function open({ era, command, url }, listener) {
  const client = new Client(
    { name: "typescript-v2", version: "1.0.0" },
    {
      capabilities: { elicitation: {}, sampling: {} },
      listChanged: { tools: { debounceMs: 0, onChanged: listener.toolsChanged } },
      versionNegotiation: { mode: era === "legacy" ? "legacy" : "auto" },
    },
  );
  client.onerror = listener.failed;
  client.setRequestHandler("elicitation/create", listener.elicit);
  client.setRequestHandler("sampling/createMessage", listener.sample);
  client.setNotificationHandler("notifications/resources/updated", listener.updated);
  client.setNotificationHandler("notifications/message", listener.logged);
  const transport = command
    ? new StdioClientTransport({ command: command[0], args: command.slice(1) })
    : new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  return {
    client,
    revision: client.getNegotiatedProtocolVersion(),
    call: (name, args, options) => client.callTool({ name, arguments: args }, options),
    async close() {
      await transport.terminateSession?.();
      await client.close();
    },
  };
}

const modern = {
  async watch(client, updates) {
    const subscription = await client.listen({ resourceSubscriptions: [CLOCK] });
    const uri = await updates.next();
    await subscription.close();
    return uri;
  },
  // Each request says for itself which messages it wants.
  log: ({ client }, level, name) =>
    client.callTool({ name, _meta: { [LOG_LEVEL_META_KEY]: level } }),
};

await run({ open, ...(target.era === "legacy" ? legacy : modern) });
