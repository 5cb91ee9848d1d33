// A freeze over a change of the clock: a demo of its own, whose clock the test sets.
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseDemo, type Demo } from '../fixtures/demo.ts';
import { Programs, demoProgram } from '../fixtures/programs.ts';
import { pushBuild } from '../fixtures/registry.ts';
import { expect, test as base } from '../fixtures/test.ts';
import { freshName } from '../fixtures/waybill.ts';

/** Debian's package faketime: the dynamic linker fills `$LIB` in. */
const fakeTime = '/usr/$LIB/faketime/libfaketimeMT.so.1';

/** The clock of the demo: a file says what time it is, UTC. */
interface Clock {
  file: string;
  set: (utc: string) => void;
}

const test = base.extend<{}, { clock: Clock; demo: Demo }>({
  clock: [
    async ({}, use) => {
      const directory = mkdtempSync(resolve(tmpdir(), 'waybill-clock-'));
      const file = resolve(directory, 'now');
      await use({ file, set: (utc) => writeFileSync(file, `@${utc}\n`) });
      rmSync(directory, { recursive: true });
    },
    { scope: 'worker' },
  ],
  demo: [
    async ({ clock }, use, workerInfo) => {
      // Saturday, before the clock goes forward in Berlin on Sunday.
      clock.set('2026-03-28 12:00:00');
      const logFile = resolve(workerInfo.project.outputDir, `clock-${workerInfo.workerIndex}.log`);
      mkdirSync(workerInfo.project.outputDir, { recursive: true });
      const programs = new Programs(logFile, createWriteStream(logFile));
      try {
        const line = await programs.start(demoProgram(), ['--ephemeral', '--json'], {
          LD_PRELOAD: fakeTime,
          FAKETIME_TIMESTAMP_FILE: clock.file,
          FAKETIME_NO_CACHE: '1',
          // Seconds stay as long as they are: only what time it is changes.
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
          TZ: 'UTC',
        });
        await use(parseDemo(line));
      } finally {
        await programs.endAll();
      }
    },
    { scope: 'worker' },
  ],
});

const weekend = {
  freezes: [{ name: 'weekend', timeZone: 'Europe/Berlin', when: { weekly: { from: 'friday 17:00', to: 'monday 09:00' } } }],
};

test('a freeze over the change of the clock ends when it is 09:00 on the wall @hydrated', async ({ page, open, demo, waybill, clock }) => {
  const own = await waybill.ownProject(demo.registry.host, weekend);
  const name = freshName('frozen');
  const build = await pushBuild(demo, `myapp/${name}`, '1.0.0');
  const source = { source: 'image', image: build.repository, kind: 'deployment', binding: 'track', name };
  await waybill.succeeded(await waybill.begin('development', source, own));
  const follows = { source: 'promote', source_environment: 'development', source_resource: name, binding: 'track', name };
  await open(await waybill.begin('production', follows, own));
  const gate = page.getByRole('region', { name: 'Gates' }).getByRole('listitem').filter({ hasText: 'Freeze weekend' });
  // In winter it would be 08:00 UTC.
  await expect(gate).toContainText('Nothing new may run until 2026-03-30 07:00:00 UTC.');
  await expect(gate).toContainText('Waiting');

  // Half an hour before it ends; the policy is saved, so that the gate is looked at there and then.
  clock.set('2026-03-30 06:30:00');
  await waybill.setPolicy(own, { ...weekend, checks: [{ name: 'once-more' }] });
  await expect(page.getByRole('region', { name: 'Gates' })).toContainText('Check once-more');
  await waybill.setPolicy(own, weekend);
  await expect(page.getByRole('region', { name: 'Gates' })).not.toContainText('Check once-more');
  await expect(gate).toContainText('Waiting');

  clock.set('2026-03-30 07:00:00');
  await expect(gate).toContainText('Met', { timeout: 20_000 });
  await expect(page.getByRole('main').getByText('Succeeded', { exact: true }).first()).toBeVisible({ timeout: 20_000 });
});
