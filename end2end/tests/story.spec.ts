// The whole story, once: a build is pushed, runs in development, is followed by staging, and is pinned in production;
// Git, Argo CD and the board agree on it; and the next build goes where it is tracked, and no further.
//
// And what happens when Argo CD fails. Faults hit a whole environment, so everything that promotes to production stands
// in this file and in one project: there it runs one after another.
import type { Page } from '@playwright/test';
import { fault, livePods } from '../fixtures/argocd.ts';
import { commitsWith, type Commit } from '../fixtures/git.ts';
import { pushBuild, type Build } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import { freshName } from '../fixtures/waybill.ts';

const environments = ['development', 'staging', 'production'];

test('one build goes from the registry to production @hydrated', async ({ page, demo }) => {
  const name = freshName('shop');
  const first = await pushBuild(demo, `myapp/${name}`, '1.0.0');

  await test.step('development runs what the registry has', async () => {
    await openForm(page, 'development');
    await page.getByRole('radio', { name: 'Image' }).check();
    await page.getByLabel('Image repository').fill(first.repository);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Port', { exact: true }).fill('8080');
    await create(page, `${name} → development`);
    await openBoard(page);
    await expect(cell(page, name, 'development', first)).toBeVisible();
  });

  const build = await test.step('a push shows on the board by itself', async () => {
    const pushed = await pushBuild(demo, `myapp/${name}`, '1.1.0');
    await expect(cell(page, name, 'development', pushed)).toBeVisible();
    return pushed;
  });

  await test.step('staging tracks development', async () => {
    await openForm(page, 'staging');
    await page.getByRole('radio', { name: 'Promote from environment' }).check();
    await page.getByLabel('Source environment').selectOption('development');
    await page.getByLabel('Source resource').selectOption(name);
    await page.getByRole('radio', { name: 'Track latest' }).check();
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Replicas').fill('2');
    await create(page, `${name} → staging`);
  });

  await test.step('production is pinned to that digest', async () => {
    await openForm(page, 'production');
    await page.getByRole('radio', { name: 'Promote from environment' }).check();
    await page.getByLabel('Source environment').selectOption('staging');
    await page.getByLabel('Source resource').selectOption(name);
    await page.getByRole('radio', { name: 'Pin to digest' }).check();
    await page.getByLabel('Digest', { exact: true }).fill(build.digest);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Replicas').fill('3');
    await create(page, `${name} → production`);
  });

  // Production pulls from a registry of its own: Waybill copied the image there.
  const pulledFrom = (environment: string) => (environment === 'production' ? `${demo.live.host}/production/${name}` : build.repository);

  await test.step('Git has one commit each, with exactly these lines', async () => {
    // Subjects name the resource; each commit is about one environment.
    const commits = commitsWith(demo, name).filter((commit) => commit.message.includes(build.digest));
    expect(commits.map(({ paths }) => paths)).toEqual(environments.map((name) => [`environments/${name}/values.yaml`]));
    const [development, staging, production] = commits as [Commit, Commit, Commit];
    expect(development.removed.map(trimmed)).toEqual([`tag: ${first.tag}`, `digest: ${first.digest}`]);
    expect(development.added.map(trimmed)).toEqual([`tag: ${build.tag}`, `digest: ${build.digest}`]);
    const image = (environment: string) => ['image:', `repository: ${pulledFrom(environment)}`, `tag: ${build.tag}`, `digest: ${build.digest}`];
    expect(staging.removed).toEqual([]);
    expect(staging.added.map(trimmed)).toEqual([`${name}:`, ...image('staging'), 'replicas: 2']);
    expect(production.removed).toEqual([]);
    expect(production.added.map(trimmed)).toEqual([`${name}:`, ...image('production'), 'replicas: 3']);
    expect(staging.subject).toContain(`(staging): ${name} `);
    expect(production.subject).toContain(`(production): ${name} `);
  });

  await test.step('Argo CD reports it live', async () => {
    for (const environment of environments) {
      const image = `${pulledFrom(environment)}@${build.digest}`;
      await expect.poll(async () => pods(await livePods(demo, environment, name))).toEqual([image]);
    }
  });

  await test.step('the board shows the same digest three times', async () => {
    await openBoard(page);
    for (const environment of environments) await expect(cell(page, name, environment, build)).toBeVisible();
    await expect(row(page, name).getByText(build.short, { exact: true })).toHaveCount(3);
  });

  await test.step('a new build moves those who track, and nobody who is pinned', async () => {
    const next = await pushBuild(demo, `myapp/${name}`, '1.2.0');
    await expect(cell(page, name, 'development', next)).toBeVisible();
    await expect(cell(page, name, 'staging', next)).toBeVisible();
    await expect(row(page, name).getByRole('cell', { name: /pinned/ })).toContainText('1 behind staging');
    await expect(cell(page, name, 'production', build)).toBeVisible();
    const image = `${next.repository}@${next.digest}`;
    await expect.poll(async () => pods(await livePods(demo, 'staging', name))).toEqual([image]);
    const commits = commitsWith(demo, name).filter((commit) => commit.message.includes(next.digest));
    expect(commits.map(({ paths }) => paths)).toEqual([['environments/development/values.yaml'], ['environments/staging/values.yaml']]);
    const staging = commits[1] as Commit;
    expect(staging.removed.map(trimmed)).toEqual([`tag: ${build.tag}`, `digest: ${build.digest}`]);
    expect(staging.added.map(trimmed)).toEqual([`tag: ${next.tag}`, `digest: ${next.digest}`]);
    expect(pods(await livePods(demo, 'production', name))).toEqual([`${pulledFrom('production')}@${build.digest}`]);
  });
});

test('a failure says why, and Retry goes on from there @hydrated', async ({ page, open, demo, waybill, expectAccessible }) => {
  const { name, build } = await waybill.service('fail');
  await fault(demo, { app: 'myapp-production', fault: 'fail_apply', message: 'admission webhook denied the request' });
  try {
    const fields = { source: 'promote', source_environment: 'development', source_resource: name, binding: 'track', name };
    await open(await waybill.begin('production', fields));
    const failure = page.getByRole('region', { name: 'The sync failed' });
    await expect(failure).toContainText('admission webhook denied the request', { timeout: 20_000 });
    await expect(page.getByRole('region', { name: 'Steps' }).getByRole('listitem').filter({ hasText: 'Sync' })).toContainText('Failed');
    await expectAccessible();
    await fault(demo, { app: 'myapp-production', fault: 'clear' });
    await failure.getByRole('button', { name: 'Retry' }).click();
    await expect(page.getByRole('main').getByText('Succeeded', { exact: true })).toBeVisible({ timeout: 20_000 });
    await expect(failure).toHaveCount(0);
    // The commit was there already: there is one.
    expect(commitsWith(demo, build.digest).filter(({ subject }) => subject.includes('(production)'))).toHaveLength(1);
  } finally {
    await fault(demo, { app: 'myapp-production', fault: 'clear' });
  }
});

async function openBoard(page: Page): Promise<void> {
  await page.goto('/');
  await page.getByRole('main').getByRole('link', { name: 'myapp', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'myapp' })).toBeVisible();
}

async function openForm(page: Page, environment: string): Promise<void> {
  await openBoard(page);
  await page.getByRole('columnheader', { name: environment }).getByRole('link').click();
  await page.getByRole('link', { name: 'Create Resource' }).click();
  await expect(page.getByRole('heading', { name: `Create resource in ${environment}` })).toBeVisible();
}

/** Sends the form, and waits on the promotion's page until it has succeeded by itself. */
async function create(page: Page, what: string): Promise<void> {
  await page.getByRole('button', { name: 'Create Resource' }).click();
  await expect(page.getByRole('heading', { name: what })).toBeVisible();
  await expect(page.getByRole('main').getByText('Succeeded', { exact: true })).toBeVisible({ timeout: 20_000 });
}

function row(page: Page, name: string) {
  return page.getByRole('row', { name });
}

/** The link in a cell of the board that shows this build. */
function cell(page: Page, name: string, environment: string, build: Build) {
  return row(page, name).getByRole('link', { name: new RegExp(`^${name} in ${environment}: .*${build.short}`) });
}

/** Images of pods, each once, without the tag that may stand before the digest. */
function pods(images: string[]): string[] {
  return [...new Set(images.map((image) => image.replace(/:[^:/@]+@/, '@')))];
}

function trimmed(line: string): string {
  return line.trim();
}
