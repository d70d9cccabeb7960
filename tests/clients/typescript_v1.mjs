// The official TypeScript SDK 1.x, which speaks the legacy era.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { legacy, run } from "./scenarios.mjs";

await run({
  async open({ command, url }, listener) {
    const client = new Client(
      { name: "typescript-v1", version: "1.0.0" },
      {
        capabilities: { elicitation: {}, sampling: {} },
        listChanged: { tools: { debounceMs: 0, onChanged: listener.toolsChanged } },
      },
    );
    client.onerror = listener.failed;
    client.setRequestHandler(ElicitRequestSchema, listener.elicit);
    client.setRequestHandler(CreateMessageRequestSchema, listener.sample);
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, listener.updated);
    client.setNotificationHandler(LoggingMessageNotificationSchema, listener.logged);
    const transport = command
      ? new StdioClientTransport({ command: command[0], args: command.slice(1) })
      : new StreamableHTTPClientTransport(new URL(url));
    await client.connect(transport);
    await client.ping();
    return {
      client,
      // The SDK keeps the revision to itself, but for the header that HTTP wants.
      revision: transport.protocolVersion ?? null,
      call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
      async close() {
        await transport.terminateSession?.();
        await client.close();
      },
    };
  },
  ...legacy,
});
