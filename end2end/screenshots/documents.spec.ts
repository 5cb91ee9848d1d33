// Takes the pictures of docs/images from a running demo; see scripts/screenshots.
import type { Page } from '@playwright/test';
import { mkdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '../fixtures/test.ts';
import { project } from '../fixtures/waybill.ts';

const images = resolve(import.meta.dirname, '..', '..', 'docs', 'images');
const wide = { width: 1280, height: 800 };
const narrow = { width: 390, height: 844 };

test('pictures', async ({ browser, demo, session, waybill }) => {
  // What the story of the README tells: production gets what staging runs.
  const follows = { source: 'promote', source_environment: 'staging', source_resource: 'api', name: 'api', binding: 'track' };
  const promotion = await waybill.begin('production', follows);
  await waybill.succeeded(promotion);
  mkdirSync(images, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const) {
    const options = { baseURL: demo.base_url, storageState: session, colorScheme, locale: 'en-GB', timezoneId: 'UTC' };
    const context = await browser.newContext({ ...options, viewport: wide });
    const page = await context.newPage();
    await open(page, project);
    // As it is most of the time: nothing on its way.
    await expect(page.locator('.says.moving')).toHaveCount(0);
    await take(page, `board-${colorScheme}`);
    await open(page, `${project}/production/-/new`);
    await page.getByLabel('Source environment').selectOption('staging');
    await page.getByLabel('Source resource').selectOption('web');
    await page.getByLabel('Name', { exact: true }).fill('web-canary');
    await page.getByRole('radio', { name: 'Pin to digest' }).check();
    await page.getByRole('group', { name: 'Recent artifacts' }).getByRole('button', { name: /^Use / }).first().click();
    await page.evaluate(() => {
      (document.activeElement as HTMLElement | null)?.blur();
      window.scrollTo(0, 0);
    });
    await expect(page.getByRole('region', { name: /^Preview of the change/ })).toBeVisible();
    await take(page, `form-${colorScheme}`);
    await open(page, promotion);
    await take(page, `promotion-${colorScheme}`);
    await context.close();
    if (colorScheme === 'light') {
      const phone = await browser.newContext({ ...options, viewport: narrow });
      const small = await phone.newPage();
      await open(small, project);
      await take(small, 'board-narrow');
      await phone.close();
    }
  }
});

async function open(page: Page, path: string): Promise<void> {
  const alive = page.waitForRequest('**/api/events');
  await page.goto(path);
  await alive;
  await page.getByRole('heading', { level: 1 }).waitFor();
}

async function take(page: Page, name: string): Promise<void> {
  const path = resolve(images, `${name}.png`);
  await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
  const kilobytes = Math.ceil(statSync(path).size / 1024);
  console.log(`${name}.png  ${kilobytes} KB`);
  if (kilobytes > 200) throw new Error(`${path} is too large for a repository: ${kilobytes} KB`);
}
