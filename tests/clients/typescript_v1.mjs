// The official TypeScript SDK 1.x, which speaks the legacy era: node typescript_v1.mjs URL
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const client = new Client({ name: "typescript-v1", version: "1.0.0" });
const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]));
await client.connect(transport);
await client.ping();
const { tools } = await client.listTools();
const text = async (name, args) =>
  (await client.callTool({ name, arguments: args })).content[0].text;
console.log(
  JSON.stringify({
    revision: transport.protocolVersion,
    server: client.getServerVersion().name,
    tools: tools.map((tool) => tool.name),
    echo: await text("demo__echo", { text: "héllo" }),
    add: await text("demo__add", { a: 2, b: 3 }),
  }),
);
await transport.terminateSession();
await client.close();
