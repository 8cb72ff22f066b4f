#!/usr/bin/env node
// Starts the program `avocet` for this machine, which is in an optional package of its own, and ends as
// it ends.

"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const { dirname, join } = require("node:path");

const { name, optionalDependencies } = require("../package.json");

// The oldest C library that the program runs with, as [major, minor].
const OLDEST_GLIBC = [2, 35];

function fail(message) {
  console.error(`${name}: ${message}`);
  process.exit(1);
}

function program() {
  const wanted = `${name}-${process.platform}-${process.arch}`;
  if (!(wanted in optionalDependencies)) {
    const there = Object.keys(optionalDependencies).join(" and ");
    fail(`there is no program for ${process.platform} on ${process.arch}: there are ${there}`);
  }
  try {
    return join(dirname(require.resolve(`${wanted}/package.json`)), "bin", "avocet");
  } catch {
    fail(`the package ${wanted} is not installed: npm leaves it out with --omit=optional, and on systems without glibc`);
  }
}

function checkLibrary() {
  const found = process.report?.getReport().header.glibcVersionRuntime;
  if (found === undefined) return;
  const [major, minor] = found.split(".").map(Number);
  if (major < OLDEST_GLIBC[0] || (major === OLDEST_GLIBC[0] && minor < OLDEST_GLIBC[1])) {
    fail(`the C library of this system is glibc ${found}, and the program wants ${OLDEST_GLIBC.join(".")} or later`);
  }
}

const path = program();
const child = spawn(path, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  if (error.code === "ENOENT") checkLibrary();
  fail(`${path} can not be started: ${error.message}`);
});
// A terminal sends Ctrl-C to the child as well; what `kill` sends comes here alone.
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
process.on("SIGINT", () => {});
child.on("exit", (status, signal) => {
  if (status === 1) checkLibrary();
  process.exitCode = signal === null ? status : 128 + constants.signals[signal];
});
