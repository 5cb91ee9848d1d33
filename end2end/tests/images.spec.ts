// Where images of an environment come from, and the tags they get: said on a page, and seen in the registry.
import { pushBuild } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import { freshName } from '../fixtures/waybill.ts';

test('tags are set on a page, and name what runs', async ({ page, open, demo, waybill, tolerate, expectAccessible }) => {
  tolerate(/status of 422/);
  const own = await waybill.ownProject(demo.registry.host, {});
  const name = freshName('tagged');
  const build = await pushBuild(demo, `myapp/${name}`, '1.0.0');
  const source = { source: 'image', image: build.repository, kind: 'deployment', binding: 'track', name };
  await waybill.succeeded(await waybill.begin('development', source, own));

  await open(`${own}/development`);
  await page.getByRole('link', { name: 'Images' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Images of development');
  const marker = page.getByLabel('Marker', { exact: true });
  await marker.fill('latest');
  await page.getByLabel('Images kept').fill('many');
  await page.getByLabel('Keepers begin with').fill('dev-');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('alert')).toContainText('Choose a tag that says where the image runs: production.');
  await expect(page.getByRole('alert')).toContainText('Write a whole number, for example 10.');
  await expect(marker).toHaveValue('latest');
  await expectAccessible();

  await marker.fill('in-development');
  await page.getByLabel('Images kept').fill('3');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Saved.')).toBeVisible();
  await expect(async () => {
    await open(`${own}/development/-/images`);
    const row = page.getByRole('row').filter({ hasText: 'in-development' });
    await expect(row).toContainText('Set', { timeout: 1000 });
    await expect(row).toContainText(build.digest.slice('sha256:'.length, 'sha256:'.length + 7), { timeout: 1000 });
  }).toPass({ timeout: 30_000 });
  await expectAccessible();
});
