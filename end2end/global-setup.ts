// Starts the demo with a state that goes away (`demo --ephemeral --json`), waits for the line that says where it
// listens, hands that to the tests, and ends the demo after them, with all that it started.
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

  // A process group of its own: ending it ends the server and the registry too.
  const demo = spawn(program, ['--ephemeral', '--json'], { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  // Whoever interrupts the tests must not leave a demo behind.
  process.once('exit', () => signal(demo, 'SIGKILL'));
  demo.stderr.pipe(log, { end: false });
  try {
    const line = await firstLine(demo, logFile);
    log.write(`${line}\n`);
    parseDemo(line);
    process.env.DEMO_JSON = line;
  } catch (error) {
    await end(demo);
    throw error;
  }
  return () => {
    keepLog();
    return end(demo);
  };
}

/** The server's own log lies in the state that goes away: a copy stays, beside what else is left of the tests. */
function keepLog(): void {
  const { git } = parseDemo(process.env.DEMO_JSON ?? '');
  const log = resolve(git.path, '..', '..', 'waybill.log');
  if (existsSync(log)) copyFileSync(log, resolve(import.meta.dirname, 'test-results', 'waybill.log'));
}

/** The first line of the demo's output; an error when it ends or keeps silent. */
function firstLine(demo: ChildProcess, logFile: string): Promise<string> {
  return new Promise((found, failed) => {
    const silent = setTimeout(() => failed(new Error(`the demo said nothing for ${startLimit / 1000} s; see ${logFile}`)), startLimit);
    demo.once('error', failed);
    demo.once('exit', (code, by) => failed(new Error(`the demo ended at its start (${by ?? `exit code ${code}`}); see ${logFile}`)));
    createInterface({ input: demo.stdout! }).once('line', (line) => {
      clearTimeout(silent);
      found(line);
    });
  });
}

async function end(demo: ChildProcess): Promise<void> {
  if (demo.exitCode === null && demo.signalCode === null) {
    const gone = new Promise<void>((resolved) => demo.once('exit', () => resolved()));
    signal(demo, 'SIGTERM');
    const patience = setTimeout(() => signal(demo, 'SIGKILL'), stopLimit);
    await gone;
    clearTimeout(patience);
  }
  // What the demo may have left in its group.
  signal(demo, 'SIGKILL');
}

function signal(demo: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (demo.pid) process.kill(-demo.pid, name);
  } catch {
    // The group is gone already.
  }
}
