// Starts a provider for single sign-on, and the demo with a state that goes away (`demo --ephemeral --json`), waits for the line that says where it
// listens, hands that to the tests, and ends both after them, with all that they started.
//
// With DEMO_JSON in the environment (the same line, of a demo that runs already) nothing is started.
import { copyFileSync, createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseDemo } from './fixtures/demo.ts';
import { Programs, demoProgram, root } from './fixtures/programs.ts';

export default async function globalSetup(): Promise<(() => Promise<void>) | void> {
  if (process.env.DEMO_JSON) {
    parseDemo(process.env.DEMO_JSON);
    return;
  }
  const logFile = resolve(import.meta.dirname, 'test-results', 'demo.log');
  mkdirSync(resolve(logFile, '..'), { recursive: true });
  const log = createWriteStream(logFile);

  const programs = new Programs(logFile, log);
  try {
    const provider = await programs.start(process.execPath, [resolve(root, 'end2end', 'support', 'oidc-provider.mjs')]);
    const { issuer } = JSON.parse(provider) as { issuer: string };
    const line = await programs.start(demoProgram(), ['--ephemeral', '--json', '--sso', issuer]);
    parseDemo(line);
    process.env.DEMO_JSON = line;
  } catch (error) {
    await programs.endAll();
    throw error;
  }
  return () => {
    keepLog();
    return programs.endAll();
  };
}

/** The server's own log lies in the state that goes away: a copy stays, beside what else is left of the tests. */
function keepLog(): void {
  const { git } = parseDemo(process.env.DEMO_JSON ?? '');
  const log = resolve(git.path, '..', '..', 'waybill.log');
  if (existsSync(log)) copyFileSync(log, resolve(import.meta.dirname, 'test-results', 'waybill.log'));
}
