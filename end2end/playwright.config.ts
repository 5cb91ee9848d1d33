// Browser tests: Debian's Chromium against the demo, which the global set-up starts with a state of its own.
//
// Every test runs in three projects. A test that makes sense in one of them only says so with
// `test.skip(({ javaScriptEnabled }) => ..., 'why')` or a tag: @hydrated, @no-javascript, @narrow.
import { existsSync } from 'node:fs';
import { defineConfig, devices } from '@playwright/test';

/** Chromium without what draws windows, where Debian has it: the same pages in three quarters of the time. */
function chromiumProgram(): string {
  const lean = '/usr/bin/chromium-headless-shell';
  return existsSync(lean) ? lean : '/usr/bin/chromium';
}

const chromium = {
  ...devices['Desktop Chrome'],
  // Playwright's own browsers cannot be downloaded everywhere; Debian's is there after scripts/setup.
  launchOptions: {
    executablePath: process.env.CHROMIUM ?? chromiumProgram(),
    // Root needs --no-sandbox; the others keep the browser from calling home.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  },
};

/** Tests that are tagged, but not for this project, do not run in it. */
const tags = ['@hydrated', '@no-javascript', '@narrow'];
const forOthers = (own: string) => new RegExp(`^(?!.*${own}).*(${tags.join('|')})`);

export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results',
  globalSetup: './global-setup.ts',
  // All tests share one demo. Files run beside each other, so each makes what it changes under a name of its own.
  workers: 3,
  forbidOnly: !!process.env.CI,
  retries: 0,
  timeout: 60_000,
  // Whatever hangs, the summary comes.
  globalTimeout: 25 * 60_000,
  expect: { timeout: 10_000 },
  reporter: [['list'], ['html', { open: 'never' }]],
  use: {
    // A trace slows every test down by a seventh. A failure has a picture and the page's tree; `npx playwright test --trace on` makes traces.
    trace: 'off',
    screenshot: 'only-on-failure',
    locale: 'en-GB',
    timezoneId: 'UTC',
  },
  projects: [
    { name: 'hydrated', grepInvert: forOthers('@hydrated'), use: { ...chromium } },
    { name: 'no-javascript', grepInvert: forOthers('@no-javascript'), use: { ...chromium, javaScriptEnabled: false } },
    { name: 'narrow', grepInvert: forOthers('@narrow'), use: { ...chromium, viewport: { width: 390, height: 844 } } },
  ],
});
