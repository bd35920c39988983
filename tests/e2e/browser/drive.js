// A headless Chromium on a leash: `node drive.js CHROMIUM`, orders on standard input, answers on standard output.
//
// Each order and each answer is one line of JSON. An order is {do, ...}; its answer {value} or {error}. Visitors are
// browser profiles apart from each other, tabs belong to a visitor. What the pages send is recorded, not touched.

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const browser = await chromium.launch({ executablePath: process.argv[2], headless: true, args: FLAGS });
const visitors = {};
const tabs = {};

const orders = {
  async visitor({ name, gpc, userAgent }) {
    const extraHTTPHeaders = gpc ? { "Sec-GPC": "1" } : {};
    const visitor = await browser.newContext({ extraHTTPHeaders, userAgent });
    if (gpc) {
      await visitor.addInitScript(() => Object.defineProperty(navigator, "globalPrivacyControl", { value: true }));
    }
    visitor.sent = [];
    visitor.on("request", (request) => record(visitor, request));
    visitors[name] = visitor;
  },
  async open({ visitor, tab, url }) {
    tabs[tab] = await visitors[visitor].newPage();
    tabs[tab].on("pageerror", (error) => console.error(`${tab}: ${error}`));
    await tabs[tab].goto(url);
  },
  run: async ({ tab, script }) => tabs[tab].evaluate(script),
  go: async ({ tab, url }) => void (await tabs[tab].goto(url)),
  reload: async ({ tab }) => void (await tabs[tab].reload()),
  close: async ({ tab }) => tabs[tab].close({ runBeforeUnload: false }),
  sent: async ({ visitor }) => visitors[visitor].sent,
};

function record(visitor, request) {
  if (request.method() !== "POST") return;
  visitor.sent.push({ url: request.url(), headers: request.headers(), body: request.postData() });
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  try {
    say({ value: (await orders[order.do](order)) ?? null });
  } catch (error) {
    say({ error: String(error) });
  }
}
await browser.close();

function say(answer) {
  process.stdout.write(JSON.stringify(answer) + "\n");
}
