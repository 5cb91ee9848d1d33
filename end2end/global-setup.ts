// Starts a provider for single sign-on, and the demo with a state that goes away (`demo --ephemeral --json`), waits for the line that says where it
// listens, hands that to the tests, and ends both after them, with all that they started.
//
// With DEMO_JSON in the environment (the same line, of a demo that runs already) nothing is started.
import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseDemo } from './fixtures/demo.ts';

const root = resolve(import.meta.dirname, '..');
const program = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug', 'demo');
const startLimit = 60_000;
const stopLimit = 10_000;

export default async function globalSetup(): Promise<(() => Promise<void>) | void> {
  if (process.env.DEMO_JSON) {
    parseDemo(process.env.DEMO_JSON);
    return;
  }
  if (!existsSync(program)) throw new Error(`${program} is not built: run scripts/build first`);
  const logFile = resolve(import.meta.dirname, 'test-results', 'demo.log');
  mkdirSync(resolve(logFile, '..'), { recursive: true });
  const log = createWriteStream(logFile);

  const started: ChildProcess[] = [];
  // A process group of its own: ending it ends the server and the registry too.
  const start = async (command: string, args: string[]) => {
    const child = spawn(command, args, { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    started.unshift(child);
    child.stderr.pipe(log, { end: false });
    const line = await firstLine(child, command, logFile);
    log.write(`${line}\n`);
    return line;
  };
  // Whoever interrupts the tests must not leave anything behind.
  process.once('exit', () => started.forEach((child) => signal(child, 'SIGKILL')));
  const endAll = async () => {
    for (const child of started) await end(child);
  };
  try {
    const provider = await start(process.execPath, [resolve(import.meta.dirname, 'support', 'oidc-provider.mjs')]);
    const { issuer } = JSON.parse(provider) as { issuer: string };
    const line = await start(program, ['--ephemeral', '--json', '--sso', issuer]);
    parseDemo(line);
    process.env.DEMO_JSON = line;
  } catch (error) {
    await endAll();
    throw error;
  }
  return () => {
    keepLog();
    return endAll();
  };
}

/** The server's own log lies in the state that goes away: a copy stays, beside what else is left of the tests. */
function keepLog(): void {
  const { git } = parseDemo(process.env.DEMO_JSON ?? '');
  const log = resolve(git.path, '..', '..', 'waybill.log');
  if (existsSync(log)) copyFileSync(log, resolve(import.meta.dirname, 'test-results', 'waybill.log'));
}

/** The first line of a program's output; an error when it ends or keeps silent. */
function firstLine(child: ChildProcess, name: string, logFile: string): Promise<string> {
  return new Promise((found, failed) => {
    const silent = setTimeout(() => failed(new Error(`${name} said nothing for ${startLimit / 1000} s; see ${logFile}`)), startLimit);
    child.once('error', failed);
    child.once('exit', (code, by) => failed(new Error(`${name} ended at its start (${by ?? `exit code ${code}`}); see ${logFile}`)));
    createInterface({ input: child.stdout! }).once('line', (line) => {
      clearTimeout(silent);
      found(line);
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise<void>((resolved) => child.once('exit', () => resolved()));
    signal(child, 'SIGTERM');
    const patience = setTimeout(() => signal(child, 'SIGKILL'), stopLimit);
    await gone;
    clearTimeout(patience);
  }
  // What it may have left in its group.
  signal(child, 'SIGKILL');
}

function signal(child: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (child.pid) process.kill(-child.pid, name);
  } catch {
    // The group is gone already.
  }
}
