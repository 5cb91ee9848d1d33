// The life of an image on one page, its export, and the recall of its digest.
import { pushBuild } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import { freshName } from '../fixtures/waybill.ts';

test('an image has a page with its origin and journey, and is recalled from there', async ({ page, open, demo, waybill, tolerate, expectAccessible }) => {
  const own = await waybill.ownProject(demo.registry.host, {});
  const name = freshName('traced');
  const build = await pushBuild(demo, `myapp/${name}`, '1.0.0');
  const source = { source: 'image', image: build.repository, kind: 'deployment', binding: 'track', name };
  const first = await waybill.begin('development', source, own);
  await waybill.succeeded(first);

  await open(first);
  await page.getByRole('link', { name: 'Origin and journey' }).click();
  await expect(page.getByRole('heading', { level: 1, name: build.short })).toBeVisible();
  await expect(page.getByRole('table', { name: 'Repositories that hold it' })).toContainText(`${build.repository}:1.0.0`);
  await expect(page.getByRole('region', { name: 'Origin' })).toContainText(`https://github.com/example/myapp/${name}`);
  await expect(page.getByRole('region', { name: 'Journey' })).toContainText('development');
  await expectAccessible();
  const address = (await page.getByRole('link', { name: 'JSON' }).getAttribute('href')) ?? '';
  const exported = await page.request.get(address);
  expect((await exported.json()) as object).toMatchObject({ schema: 'waybill.custody/v1', digest: build.digest });

  await open(`/w/demo/-/artifacts/${build.digest}/recall`);
  await expect(page.getByRole('region', { name: '1 place runs it or is to run it' })).toContainText(`development/${name}`);
  tolerate(/status of 422/);
  await page.getByRole('button', { name: `Recall ${build.short}` }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await expectAccessible();
  await page.getByLabel('Reason').fill('It writes wrong totals.');
  await page.getByRole('button', { name: `Recall ${build.short}` }).click();
  await expect(page.getByText('This digest is recalled.')).toBeVisible();
  await expect(page.getByText('It writes wrong totals.')).toBeVisible();
  await expectAccessible();
  await open(`${own}/development/${name}`);
  await expect(page.getByText('It writes wrong totals.')).toBeVisible();
  await open(first);
  await expect(page.getByText('It writes wrong totals.')).toBeVisible();

  await open(`/w/demo/-/artifacts/${build.digest}/recall`);
  await page.getByText('Lift the recall').first().click();
  await page.getByLabel('Reason').fill('The totals were right.');
  await page.getByRole('button', { name: 'Lift the recall' }).click();
  await expect(page.getByRole('region', { name: 'Lifted recalls' })).toContainText('The totals were right.');
  await expect(page.getByRole('button', { name: `Recall ${build.short}` })).toBeVisible();
});
