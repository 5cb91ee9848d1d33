// A promotion waits for people and evidence: the inbox, the gates on its page, the policy, the ones who may decide.
import type { Page } from '@playwright/test';
import { pushBuild } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import type { Demo } from '../fixtures/demo.ts';
import { freshName, project, type StorageState, type Waybill } from '../fixtures/waybill.ts';

/** The page belongs to somebody else from now on. */
async function become(page: Page, session: StorageState): Promise<void> {
  await page.context().clearCookies();
  await page.context().addCookies(session.cookies);
}

/** A service in development of a project of its own, and the promotion to production that waits. */
async function waiting(waybill: Waybill, demo: Demo, policy: object) {
  const own = await waybill.ownProject(demo.registry.host, policy);
  const name = freshName('asks');
  const build = await pushBuild(demo, `myapp/${name}`, '1.0.0');
  const source = { source: 'image', image: build.repository, kind: 'deployment', binding: 'track', name };
  await waybill.succeeded(await waybill.begin('development', source, own));
  const follows = { source: 'promote', source_environment: 'development', source_resource: name, binding: 'track', name };
  const promotion = await waybill.begin('production', follows, own);
  return { own, name, build, promotion };
}

/** An approval of this person's and nobody else's, and they decide nothing else: whatever other tests have waiting, isn't for them. */
const onlyBy = (name: string) => ({ approvals: { count: 1, by: [{ user: `${name}@example.com` }] } });

const badge = (page: Page, word: string) => page.getByRole('main').getByText(word, { exact: true }).first();

test('asked for, in the inbox of the approver, approved, deployed', async ({ page, open, demo, waybill, expectAccessible, javaScriptEnabled }) => {
  const { name, promotion } = await waiting(waybill, demo, { approvals: { count: 1 } });
  await open(promotion);
  const gates = page.getByRole('region', { name: 'Gates' });
  await expect(gates).toContainText('0 of 1 approval');
  await expect(gates).toContainText('Approvers can approve. Who asked can\'t.');
  await expect(gates.getByRole('button')).toHaveCount(0);
  await expectAccessible();

  await become(page, await waybill.person(freshName('carol'), 'approver'));
  await open('/inbox');
  const row = page.getByRole('listitem').filter({ has: page.getByRole('link', { name: `${name} → production` }) });
  await expect(row).toContainText('0 of 1 approval');
  if (javaScriptEnabled !== false) await expect(page).toHaveTitle(/^\(\d+\) Inbox/);
  await expectAccessible();
  await row.getByLabel(`Comment about ${name} to production`).fill('Looks right');
  await row.getByRole('button', { name: `Approve ${name} to production` }).click();
  await expect(row).toHaveCount(0);
  await waybill.succeeded(promotion);
  await open(promotion);
  await expect(badge(page, 'Succeeded')).toBeVisible();
  await expect(page.getByRole('region', { name: 'Gates' })).toContainText('Approved by carol');
  await expect(page.getByText('Approved: Looks right')).toBeVisible();
  await expectAccessible();
});

test('who asked is told that somebody else must decide @hydrated @no-javascript', async ({ page, open, demo, waybill, tolerate }) => {
  tolerate(/status of 403/);
  const { name, own, promotion } = await waiting(waybill, demo, { approvals: { count: 1, selfApproval: true } });
  await open(promotion);
  const approve = page.getByRole('button', { name: `Approve ${name} to production` });
  await expect(approve).toBeVisible();
  // The page is as it was; the policy isn't any more.
  await page.route('**/api/events', (route) => route.abort());
  await waybill.setPolicy(own, { approvals: { count: 1 } });
  await approve.click();
  await expect(page.getByRole('alert')).toContainText('You asked for this promotion yourself: somebody else must decide.');
  await waybill.cancelled(promotion);
});

test('two of three approve, and it is deployed @hydrated @no-javascript', async ({ page, open, demo, waybill }) => {
  const { name, promotion } = await waiting(waybill, demo, { approvals: { count: 2 } });
  const gates = page.getByRole('region', { name: 'Gates' });
  const approve = page.getByRole('button', { name: `Approve ${name} to production` });
  await become(page, await waybill.person(freshName('ann'), 'approver'));
  await open(promotion);
  await approve.click();
  await expect(gates).toContainText('1 of 2 approvals');
  await expect(approve).toHaveCount(0);
  await become(page, await waybill.person(freshName('ben'), 'approver'));
  await open(promotion);
  await expect(gates).toContainText(/1 of 2 approvals.*Approved by ann/);
  await approve.click();
  await waybill.succeeded(promotion);
  // The third finds nothing left to do.
  await become(page, await waybill.person(freshName('cem'), 'approver'));
  await open(promotion);
  await expect(badge(page, 'Succeeded')).toBeVisible();
  await expect(gates).toContainText(/Approved by ann.* and ben/);
  await expect(approve).toHaveCount(0);
});

test('who approved may think again while it waits @hydrated @no-javascript', async ({ page, open, demo, waybill, tolerate, expectAccessible }) => {
  tolerate(/status of 422/);
  const { name, promotion } = await waiting(waybill, demo, { approvals: { count: 2 } });
  await become(page, await waybill.person(freshName('eda'), 'approver'));
  await open(promotion);
  await page.getByRole('button', { name: `Approve ${name} to production` }).click();
  const reject = page.getByRole('button', { name: `Reject ${name} to production` });
  const gates = page.getByRole('region', { name: 'Gates' });
  await expect(gates).toContainText('1 of 2 approvals');
  await expect(page.getByRole('button', { name: `Approve ${name} to production` })).toHaveCount(0);
  await expectAccessible();
  await reject.click();
  await expect(gates).toContainText('Say why, so that who asked knows what to do next.');
  await page.getByLabel(`Comment about ${name} to production`).fill('The error rate doubled in staging.');
  await reject.click();
  await expect(badge(page, 'Rejected')).toBeVisible();
  await expect(page.getByRole('main')).toContainText('The error rate doubled in staging.');
  await expect(reject).toHaveCount(0);
});

test('approvals are of one digest @hydrated @no-javascript', async ({ page, open, demo, waybill }) => {
  const { name, promotion } = await waiting(waybill, demo, { approvals: { count: 2 } });
  await become(page, await waybill.person(freshName('dan'), 'approver'));
  await open(promotion);
  const approve = page.getByRole('button', { name: `Approve ${name} to production` });
  const gates = page.getByRole('region', { name: 'Gates' });
  await approve.click();
  await expect(gates).toContainText('1 of 2 approvals');
  // A newer build takes its place, and nobody has approved that one.
  await pushBuild(demo, `myapp/${name}`, '1.1.0');
  await expect(async () => {
    await page.reload();
    await expect(badge(page, 'Superseded')).toBeVisible({ timeout: 1_000 });
  }).toPass();
  await open('/inbox');
  const row = page.getByRole('listitem').filter({ has: page.getByRole('link', { name: `${name} → production` }) });
  await expect(row).toContainText('0 of 2 approvals');
});

test('Enter in the field of the reason decides nothing', async ({ page, open, demo, waybill }) => {
  const { name, promotion } = await waiting(waybill, demo, { approvals: { count: 1 } });
  await become(page, await waybill.person(freshName('eva'), 'approver'));
  for (const path of ['/inbox', promotion]) {
    await open(path);
    const reason = page.getByLabel(`Comment about ${name} to production`);
    await reason.fill('Wrong build');
    await reason.press('Enter');
    await expect(reason).toHaveValue('Wrong build');
  }
  await page.getByRole('button', { name: `Reject ${name} to production` }).click();
  await expect(badge(page, 'Rejected')).toBeVisible();
});

test('the count of what waits is live in the title and the navigation @hydrated', async ({ page, open, demo, waybill }) => {
  const fay = freshName('fay');
  await become(page, await waybill.person(fay, 'viewer'));
  await open('/');
  const inbox = page.getByRole('navigation').getByRole('link', { name: /^Inbox/ });
  await expect(page).toHaveTitle('Projects · Waybill');
  const { promotion } = await waiting(waybill, demo, onlyBy(fay));
  await expect(page).toHaveTitle('(1) Projects · Waybill');
  await expect(inbox).toContainText('1');
  await waybill.cancelled(promotion);
  await expect(page).toHaveTitle('Projects · Waybill');
  await expect(inbox).not.toContainText('1');
});

test('a rejection says why, and is refused without', async ({ page, open, demo, waybill, tolerate, javaScriptEnabled }) => {
  tolerate(/status of 422/);
  const { name, promotion } = await waiting(waybill, demo, { approvals: { count: 2 } });
  await become(page, await waybill.person(freshName('dora'), 'approver'));
  await open(promotion);
  const reject = page.getByRole('button', { name: `Reject ${name} to production` });
  await reject.click();
  await expect(page.getByRole('alert')).toContainText('Say why');
  await page.getByLabel(`Comment about ${name} to production`).fill('Wrong build');
  await reject.click();
  await expect(badge(page, 'Rejected')).toBeVisible();
  await expect(page.getByText(/Wrong build/).first()).toBeVisible();
  if (javaScriptEnabled !== false) await expect(reject).toHaveCount(0);
});

test('the inbox is worked by keys @hydrated', async ({ page, open, demo, waybill }) => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const kim = freshName('kim');
  const session = await waybill.person(kim, 'viewer');
  const first = await waiting(waybill, demo, onlyBy(kim));
  const second = await waiting(waybill, demo, onlyBy(kim));
  await become(page, session);
  await open('/inbox');
  const row = (name: string) => page.getByRole('listitem').filter({ has: page.getByRole('link', { name: `${name} → production` }) });
  await expect(row(first.name)).toBeVisible();
  // Newest first.
  await row(second.name).focus();
  await page.keyboard.press('j');
  await expect(row(first.name)).toBeFocused();
  await page.keyboard.press('k');
  await expect(row(second.name)).toBeFocused();
  await page.keyboard.press('r');
  await expect(row(second.name).getByRole('textbox')).toBeFocused();
  await page.keyboard.type('a jar of keys');
  await expect(row(second.name).getByRole('textbox')).toHaveValue('a jar of keys');
  // Two decisions, the second while the first is being sent.
  await row(second.name).getByRole('textbox').fill('');
  await page.route('**/api/ui/approve', async (route) => {
    await held;
    await route.continue();
  });
  await row(second.name).focus();
  await page.keyboard.press('a');
  await row(first.name).focus();
  await page.keyboard.press('a');
  release();
  await expect(row(first.name)).toHaveCount(0);
  await expect(row(second.name)).toHaveCount(0);
  await waybill.succeeded(first.promotion);
  await waybill.succeeded(second.promotion);
  await page.keyboard.press('?');
  await expect(page.getByText('j and k move, a approves')).toBeVisible();
});

test('a check arrives, and the gate opens by itself', async ({ page, open, demo, waybill, javaScriptEnabled }) => {
  const { build, promotion } = await waiting(waybill, demo, { checks: [{ name: 'integration' }] });
  await open(promotion);
  await expect(page.getByRole('region', { name: 'Gates' })).toContainText('No result of integration is known for this digest.');
  await waybill.check(build.digest, 'integration', 'passed');
  if (javaScriptEnabled === false) {
    await waybill.succeeded(promotion);
    await page.reload();
  }
  await expect(badge(page, 'Succeeded')).toBeVisible();
  await expect(page.getByRole('region', { name: 'Gates' }).getByRole('link', { name: 'See it' })).toHaveAttribute('href', 'https://ci.example.com/7');
});

test('promotions are paused, the pause is overridden with a reason, and resumed', async ({ page, open, demo, waybill, expectAccessible, javaScriptEnabled }) => {
  const policy = { approvals: { count: 1 }, overrides: [{ gates: ['stop', 'approvals'], by: [{ role: 'admin' }] }] };
  const { own, promotion } = await waiting(waybill, demo, policy);
  await open(`${own}/production`);
  await page.getByText('Pause promotions').click();
  await page.getByLabel('Why?').fill('The database is being moved');
  await page.getByRole('button', { name: 'Pause production' }).click();
  await expect(page.getByRole('region', { name: 'production is paused' })).toContainText('The database is being moved');
  await expectAccessible();

  await open(promotion);
  for (const gate of ['Approvals', 'Pause']) {
    const row = page.getByRole('region', { name: 'Gates' }).getByRole('listitem').filter({ hasText: gate }).first();
    await row.getByText('Override', { exact: true }).click();
    await row.getByLabel(/^Why\?/).fill(`Security fix, ${gate}`);
    await row.getByRole('button', { name: `Override ${gate}` }).click();
    await expect(page.getByText(new RegExp(`Overridden by .+: Security fix, ${gate}\\.`)).first()).toBeVisible();
  }
  if (javaScriptEnabled === false) {
    await waybill.succeeded(promotion);
    await page.reload();
  }
  await expect(badge(page, 'Succeeded')).toBeVisible();
  await expectAccessible();

  await open(`${own}/production`);
  await page.getByRole('button', { name: 'Resume production' }).click();
  await expect(page.getByRole('region', { name: 'production is paused' })).toHaveCount(0);
});

test('a policy is edited as text, and a mistake in it is said in its field', async ({ page, open, demo, waybill, tolerate, expectAccessible }) => {
  tolerate(/status of 422/);
  const { own, promotion } = await waiting(waybill, demo, { checks: [{ name: 'never' }] });
  await open(`${own}/production/-/policy`);
  await expect(page.getByText('Check never passed.')).toBeVisible();
  const text = page.getByLabel('Policy', { exact: true });
  await text.fill('freezes: [{ name: x, timeZone: Mars/Olympus, when: { weekly: { from: friday 17:00, to: monday 09:00 } } }]');
  await page.getByRole('button', { name: 'Save policy' }).click();
  await expect(page.getByRole('alert')).toContainText('There is no time zone "Mars/Olympus"');
  await expect(text).toHaveValue(/Mars\/Olympus/);
  await expectAccessible();
  await text.fill('');
  await page.getByRole('button', { name: 'Save policy' }).click();
  await expect(page.getByText('Saved.')).toBeVisible();
  // It is looked at again, and nothing keeps it any more.
  await waybill.succeeded(promotion);
});

for (const path of ['/account', '/w/demo/-/settings', '/w/demo/-/settings/groups', '/w/demo/-/settings/tokens', '/w/demo/-/activity', `${project}/production/-/policy`, '/inbox'])
  test(`${path} is accessible`, async ({ page, open, expectAccessible }) => {
    await open(path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expectAccessible();
  });
