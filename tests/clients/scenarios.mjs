// What the tests do with each TypeScript SDK. The argument that a script is started with is JSON:
// `era`, and either `command`, to go by standard input and output, or `url`, with `proxy`, which
// leads to the same node, and `cut`, where a knock cuts all that goes through the proxy.

export const target = JSON.parse(process.argv[2]);
export const CLOCK = "demo://clock";

/** What the legacy era does its own way. */
export const legacy = {
  async watch(client, updates) {
    await client.subscribeResource({ uri: CLOCK });
    const uri = await updates.next();
    await client.unsubscribeResource({ uri: CLOCK });
    return uri;
  },
  async log({ client, call }, level, tool) {
    await client.setLoggingLevel(level);
    await call(tool);
  },
};

/** Waits for what a client is told. */
class Told {
  #waiting = [];
  push = (item) => this.#waiting.shift()?.(item);

  /** The first that is told from now on. */
  next() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** How a client's user answers, and what the client hears without having asked. */
class Listener {
  changes = new Told();
  updates = new Told();
  failures = new Told();
  logs = [];
  errors = [];
  #answers = [{ action: "accept", content: { name: "Ada" } }, { action: "decline" }];

  toolsChanged = (error, tools) => this.changes.push(error ?? tools);
  updated = ({ params }) => this.updates.push(params.uri);
  logged = ({ params }) => this.logs.push([params.level, params.data]);
  failed = ({ message }) => {
    // Both SDKs look for whom a step of progress is for only when they have read on, and on a pipe
    // the answer to its call may be read with the last one.
    if (!message.startsWith("Received a progress notification for an unknown token")) {
      this.errors.push(message);
      this.failures.push(message);
    }
  };
  elicit = async () => this.#answers.shift();
  sample = async ({ params: { messages } }) => {
    const text = [messages[0].content].flat()[0].text.toUpperCase();
    return { model: "shout", role: "assistant", content: { type: "text", text } };
  };
}

/** A call's text. */
const said = (result) => result.content[0].text;

/** What a call comes to, one way or the other. */
const outcome = (call) => call.then(said, (error) => error.message);

/** What the node's server `demo` offers. */
async function lists({ client }) {
  const names = (items, key) => items.map((item) => item[key]).filter((n) => n.startsWith("demo"));
  return {
    tools: names((await client.listTools()).tools, "name"),
    prompts: names((await client.listPrompts()).prompts, "name"),
    resources: names((await client.listResources()).resources, "uri"),
    templates: names((await client.listResourceTemplates()).resourceTemplates, "uriTemplate"),
  };
}

async function calls({ call }) {
  const sum = await call("demo__add", { a: 0.5, b: 1 });
  const failed = await call("demo__fail");
  const steps = [];
  const onprogress = ({ progress, total }) => progress < total && steps.push([progress, total]);
  return {
    echo: said(await call("demo__echo", { text: "héllo" })),
    add: [said(sum), sum.structuredContent],
    fail: [said(failed), failed.isError],
    unknown: await call("demo__nothing").catch((error) => error.code),
    slow: [said(await call("demo__slow", { seconds: 0.75 }, { onprogress })), steps],
  };
}

async function reads({ client }) {
  const read = async (uri) => (await client.readResource({ uri })).contents[0].text;
  const prompt = await client.getPrompt({ name: "demo__greet", arguments: { name: "Ada" } });
  const complete = async (ref) =>
    (await client.complete({ ref, argument: { name: "name", value: "a" } })).completion.values;
  return {
    greeting: await read("demo://greeting/Ada"),
    clock: /^\d\d:\d\d:\d\d$/.test(await read(CLOCK)),
    prompt: prompt.messages[0].content.text,
    completions: [
      await complete({ type: "ref/prompt", name: "demo__greet" }),
      await complete({ type: "ref/resource", uri: "demo://greeting/{name}" }),
    ],
  };
}

/** The node asks: the user by a form, who refuses the second one, and the client's model. */
async function questions({ call }) {
  return {
    ask: [said(await call("demo__ask")), said(await call("demo__ask"))],
    summarize: said(await call("demo__summarize", { text: "much" })),
  };
}

/** Gives a call up once it runs. */
function cancel({ call }, tool, args) {
  const giveUp = new AbortController();
  const options = { signal: giveUp.signal, onprogress: () => giveUp.abort("enough") };
  return outcome(call(tool, args, options));
}

/** The connection breaks while a call runs; a neighbour's call runs on. */
async function cut(neighbour, sdk) {
  const held = neighbour.call("test__hold");
  const listener = new Listener();
  const { client, call, close } = await sdk.open({ ...target, url: target.proxy }, listener);
  const resumes = target.era === "legacy";
  if (resumes) {
    await client.subscribeResource({ uri: CLOCK });
    await listener.updates.next();
  }
  const knock = () => fetch(target.cut).catch(() => "the knock is cut as well");
  const giveUp = new AbortController();
  // The call's stream breaks, and the one that changes are told by.
  const failures = Promise.all([listener.failures.next(), listener.failures.next()]);
  const broken = outcome(call("test__hold", {}, { signal: giveUp.signal, onprogress: knock }));
  const report = { errors: await failures, neighbour: said(await held) };
  if (!resumes) {
    // Nothing is resumed in the modern era, and the SDK doesn't tell its caller that a stream
    // broke: the call would wait for its timeout.
    giveUp.abort("lost");
  }
  report.broken = await broken;
  report.after = said(await call("demo__echo", { text: "on" }));
  if (resumes) {
    report.update = await listener.updates.next();
  }
  await close();
  return report;
}

/** What only the tests' own servers have, which HTTP leads to. */
async function more(session, sdk, listener) {
  const { call } = session;
  const changed = listener.changes.next();
  await call("talk__grow");
  return {
    changed: (await changed).some(({ name }) => name.startsWith("talk__new")),
    // Its argument has to come as a header as well, in the modern era.
    mirrored: said(await call("talk__headers", { region: "eu" })),
    cancel: await cancel(session, "test__hold"),
    ended: said(await call("test__ended")),
    cut: await cut(session, sdk),
  };
}

/** Does all of it, and prints the report. */
export async function run(sdk) {
  const listener = new Listener();
  const session = await sdk.open(target, listener);
  const report = {
    revision: session.revision,
    server: session.client.getServerVersion().name,
    lists: await lists(session),
    calls: await calls(session),
    reads: await reads(session),
    questions: await questions(session),
    watch: await sdk.watch(session.client, listener.updates),
  };
  // Of the servers that standard input leads to, none logs.
  await sdk.log(session, "info", target.command ? "demo__fail" : "talk__tell");
  report.logs = listener.logs;
  if (target.command) {
    report.cancel = await cancel(session, "demo__slow", { seconds: 5 });
  } else {
    Object.assign(report, await more(session, sdk, listener));
  }
  report.errors = [...listener.errors];
  await session.close();
  console.log(JSON.stringify(report));
}
