// A token for one environment: made on the page, shown once, good there and nowhere else, and worth nothing once it is revoked.
import { request, type APIRequestContext } from '@playwright/test';
import type { Demo } from '../fixtures/demo.ts';
import { pushBuild } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import { freshName } from '../fixtures/waybill.ts';

interface Answer {
  status: number;
  data?: { promote?: { id: string; environment: string }; projects?: { name: string }[] };
  errors?: { message: string; extensions?: { code?: string } }[];
}

/** What a program does with a token. */
async function program(demo: Demo, token: string): Promise<APIRequestContext> {
  const storageState = { cookies: [], origins: [] };
  return request.newContext({ baseURL: demo.base_url, storageState, extraHTTPHeaders: { authorization: `Bearer ${token}` } });
}

async function ask(by: APIRequestContext, query: string): Promise<Answer> {
  const answer = await by.post('/api/graphql', { data: { query } });
  const body = (await answer.json()) as Omit<Answer, 'status'>;
  return { ...body, status: answer.status() };
}

const promote = (service: string, from: string, to: string) =>
  `mutation { promote(input: { projectId: "myapp" service: "${service}" fromEnvironment: "${from}" toEnvironment: "${to}" }) { id environment } }`;

test('a token of one environment promotes there, and is refused elsewhere and when it is revoked', async ({
  page, open, demo, waybill, expectAccessible,
}) => {
  const { name, build } = await waybill.service('token');
  // Pinned, so that what runs there is for somebody to say.
  await waybill.follow('staging', 'development', name, build.digest);
  const second = await pushBuild(demo, `myapp/${name}`, '1.1.0');
  await waybill.runs('development', name, second);
  const tokenName = freshName('bot');

  await open('/w/demo/-/settings/tokens');
  await page.getByLabel('Name', { exact: true }).fill(tokenName);
  await page.getByLabel('Role').selectOption('developer');
  await page.getByLabel('For', { exact: true }).selectOption('myapp/staging');
  await page.getByLabel('Ends').selectOption('7d');
  await page.getByRole('button', { name: 'Create token' }).click();
  await expect(page.getByText(`Token ${tokenName} is made.`)).toBeVisible();
  const secret = (await page.locator('#secret').innerText()).trim();
  expect(secret).toMatch(/^wb_[\w-]{43}$/);
  const row = page.getByRole('row').filter({ hasText: tokenName });
  await expect(row).toContainText('developer');
  await expect(row).toContainText('myapp / staging');
  await expect(row).toContainText('never');
  await expectAccessible();

  // Shown once: neither the page that is opened again nor what it is made of has it.
  await open('/w/demo/-/settings/tokens');
  await expect(row).toBeVisible();
  await expect(page.locator('#secret')).toHaveCount(0);
  expect(await page.content()).not.toContain(secret);

  const bot = await program(demo, secret);
  const there = await ask(bot, promote(name, 'development', 'staging'));
  expect(there.data?.promote?.environment, JSON.stringify(there)).toBe('staging');
  await waybill.runs('staging', name, second);
  // Of production, which has no such resource, nor that it hasn't.
  for (const [from, to] of [['development', 'production'], ['staging', 'development']] as const) {
    const refused = await ask(bot, promote(name, from, to));
    expect(refused.data?.promote ?? null, `${from} to ${to}`).toBeNull();
    expect(refused.errors?.[0]?.extensions?.code, JSON.stringify(refused)).toBe('not_found');
  }
  // Nor does it do what is for people, or for the whole workspace.
  const invited = await bot.post('/api/ui/invite', {
    form: { workspace: 'demo', email: 'friend@example.com', role: 'admin' }, headers: { accept: 'application/json' },
  });
  expect(invited.status()).toBe(403);
  expect((await bot.get('/api/v1/workspaces/demo/ledger')).status()).toBe(403);

  await open('/w/demo/-/settings/tokens');
  await expect(row.locator('time').first()).toBeVisible();
  await row.getByRole('button', { name: `Revoke ${tokenName}` }).click();
  await expect(page.getByText('The token is withdrawn.')).toBeVisible();
  await expect(row).toHaveCount(0);
  expect((await ask(bot, '{ projects { name } }')).status).toBe(401);
  await bot.dispose();
});
