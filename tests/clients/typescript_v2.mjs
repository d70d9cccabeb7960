// The official TypeScript SDK 2.x, in the modern era: node typescript_v2.mjs URL
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const revision = "2026-07-28";
const client = new Client(
  { name: "typescript-v2", version: "1.0.0" },
  { versionNegotiation: { mode: { pin: revision } } },
);
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
const { tools } = await client.listTools();
const text = async (name, args) =>
  (await client.callTool({ name, arguments: args })).content[0].text;
console.log(
  JSON.stringify({
    revision,
    server: client.getServerVersion().name,
    tools: tools.map((tool) => tool.name),
    echo: await text("demo__echo", { text: "héllo" }),
    add: await text("demo__add", { a: 2, b: 3 }),
  }),
);
await client.close();
