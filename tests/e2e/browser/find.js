// Finds a browser, and prints its path: the variable CHROMIUM, a Chromium or Chrome on the PATH, or playwright's own,
// which is downloaded where there is no other.

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

function onPath() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isProgram);
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function downloaded() {
  const own = chromium.executablePath();
  if (!isProgram(own)) spawnSync("npx", ["playwright-core", "install", "chromium"], { stdio: "ignore", timeout: 120_000 });
  return isProgram(own) ? own : undefined;
}

const found = process.env.CHROMIUM || onPath() || downloaded();
if (!found) {
  console.error("no browser: install Chromium (Debian: apt-get install chromium) or name one with CHROMIUM=/path/to/it");
  process.exit(1);
}
console.log(found);
