// Draws a digit on the page of examples/web in headless Chromium, has it named, and teaches it another name:
//
//     node tests/export/page.mjs CHROMIUM PAGE.html [--width 1100 --height 760 --scheme dark --touch --shot FILE.png]
//
// It prints what the page says, as JSON, and fails where that is not what it should be. Chromium is driven by its own protocol,
// through a pipe: no library is needed.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({ allowPositionals: true, options: {
  width: { type: "string", default: "1100" }, height: { type: "string", default: "760" }, scheme: { type: "string", default: "light" },
  touch: { type: "boolean", default: false }, shot: { type: "string" },
} });
const [browser, page] = positionals;
const SEVEN = [[0.25, 0.22], [0.35, 0.21], [0.45, 0.2], [0.55, 0.21], [0.7, 0.22], [0.66, 0.3], [0.6, 0.4], [0.55, 0.5], [0.5, 0.6],
  [0.47, 0.7], [0.45, 0.82]];

const profile = mkdtempSync(join(tmpdir(), "page-"));
const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"];
const chromium = spawn(browser, [...flags, `--user-data-dir=${profile}`, "about:blank"], {
  stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
});
const waiting = new Map(), thrown = [];
let count = 0, text = "";
chromium.stdio[4].on("data", data => {
  const parts = (text + data).split("\0");
  text = parts.pop();
  for (const part of parts) {
    const message = JSON.parse(part);
    if (message.method === "Runtime.exceptionThrown") thrown.push(message.params.exceptionDetails.exception?.description);
    if (!waiting.has(message.id)) continue;
    const [done, failed] = waiting.get(message.id);
    if (message.error) failed(new Error(message.error.message));
    else done(message.result);
  }
});
const send = (method, params = {}, sessionId = undefined) => new Promise((done, failed) => {
  waiting.set(++count, [done, failed]);
  chromium.stdio[3].write(`${JSON.stringify({ id: count, method, params, sessionId })}\0`);
});
const { targetId } = await send("Target.createTarget", { url: "about:blank" });
const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
const tab = (method, params) => send(method, params, sessionId);
const value = async expression => (await tab("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })).result.value;
const until = async expression => {
  for (let i = 0; i < 200; ++i) {
    if (await value(expression)) return;
    await new Promise(done => setTimeout(done, 50));
  }
  throw new Error(`not within ten seconds: ${expression}; ${thrown.join("; ")}`);
};
const said = () => value("document.getElementById('said').innerText");

let status = 1;
try {
  await tab("Page.enable");
  await tab("Runtime.enable");
  await tab("Emulation.setDeviceMetricsOverride",
    { width: Number(values.width), height: Number(values.height), deviceScaleFactor: 2, mobile: values.touch });
  if (values.touch) await tab("Emulation.setTouchEmulationEnabled", { enabled: true });
  await tab("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: values.scheme }] });
  await tab("Page.navigate", { url: pathToFileURL(resolve(page)).href });
  await until("document.documentElement?.dataset.ready === 'yes'");
  const box = JSON.parse(await value("JSON.stringify(document.getElementById('drawing').getBoundingClientRect())"));
  for (const [i, [x, y]] of SEVEN.entries()) {
    const at = { x: box.left + x * box.width, y: box.top + y * box.height };
    if (values.touch) await tab("Input.dispatchTouchEvent", { type: i ? "touchMove" : "touchStart", touchPoints: [at] });
    else await tab("Input.dispatchMouseEvent", { type: i ? "mouseMoved" : "mousePressed", ...at, button: "left", buttons: 1, clickCount: 1 });
  }
  if (values.touch) await tab("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  else await tab("Input.dispatchMouseEvent", { type: "mouseReleased", x: box.left, y: box.top, button: "left", clickCount: 1 });
  await until("/It is a 7/.test(document.getElementById('said').innerText)");
  const first = await said();
  await new Promise(done => setTimeout(done, 400));
  if (values.shot) writeFileSync(values.shot, Buffer.from((await tab("Page.captureScreenshot", { format: "png" })).data, "base64"));
  await value("document.querySelectorAll('.row')[1].click()");
  await until("/Learned/.test(document.getElementById('said').innerText)");
  const learned = await said();
  const scrolls = await value("document.documentElement.scrollWidth > innerWidth");
  const now = Number(/([\d.]+) % now/.exec(learned)[1]);
  console.log(JSON.stringify({ first, learned, scrolls, thrown }));
  status = now > 90 && !scrolls && thrown.length === 0 ? 0 : 1;
} finally {
  await send("Browser.close").catch(() => {});
  await new Promise(done => (chromium.exitCode === null ? chromium.on("exit", done) : done()));
  rmSync(profile, { recursive: true, force: true });
}
process.exit(status);
