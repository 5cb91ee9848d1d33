// People go before automation: back to an earlier build, held there, and on again; and what others change in Git.
import { commitByHand } from '../fixtures/git.ts';
import { pushBuild } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import { project } from '../fixtures/waybill.ts';

test('one click goes back, holds, and goes on again', async ({ page, open, demo, waybill, expectAccessible, javaScriptEnabled }) => {
  const { name, build } = await waybill.service('back');
  await waybill.follow('staging', 'development', name);
  const next = await pushBuild(demo, `myapp/${name}`, '2.0.0');
  await waybill.runs('staging', name, next);

  await open(`${project}/staging/${name}`);
  const history = page.getByRole('region', { name: 'History' });
  // What will change is there before it is clicked.
  await history.getByText('What will change').click();
  await expect(history).toContainText(`-      digest: ${next.digest}`);
  await expect(history).toContainText(`+      digest: ${build.digest}`);
  await expectAccessible();
  await history.getByRole('button', { name: 'Roll back to 1.0.0' }).click();
  await expect(page.getByRole('heading', { name: `${name} → staging` })).toBeVisible();
  const rollback = new URL(page.url()).pathname;
  await waybill.succeeded(rollback);
  await open(rollback);
  await expect(page.getByText(`rollback(staging): ${name} 1.0.0`)).toBeVisible();
  await expect(page.getByText('differs from what was expected')).toHaveCount(0);

  // A new build goes to development, and no further.
  const third = await pushBuild(demo, `myapp/${name}`, '3.0.0');
  await waybill.runs('development', name, third);
  await waybill.runs('staging', name, build);
  await open(`${project}?q=${name}`);
  const cell = page.locator('.cell', { hasText: 'Held' }).filter({ hasText: name });
  await expect(cell).toContainText(/Held: rolled back by .+/);
  await expect(cell.getByRole('button', { name: `Resume ${name} in staging` })).toBeVisible();

  await open(`${project}/staging/${name}`);
  await expect(page.getByRole('heading', { name: /^Held: rolled back by/ })).toBeVisible();
  await expectAccessible();
  await page.getByRole('button', { name: 'Resume' }).click();
  await expect(page.getByRole('heading', { name: `${name} → staging` })).toBeVisible();
  await waybill.runs('staging', name, third);
  await open(`${project}/staging/${name}`);
  await expect(page.getByRole('heading', { name: /^Held/ })).toHaveCount(0);
  if (javaScriptEnabled !== false) await expect(page.getByText('Tracks latest')).toBeVisible();
});

test('the board says who changed Git without Waybill', async ({ page, open, demo, waybill }) => {
  const { name, build } = await waybill.service('outside');
  const next = await pushBuild(demo, `myapp/${name}`, '2.0.0');
  await waybill.runs('development', name, next);
  commitByHand(demo, 'environments/development/values.yaml', (text) =>
    text.replaceAll(next.digest, build.digest),
  );
  await expect(async () => {
    await open(`${project}/development/${name}`);
    await expect(page.getByText('by Eve, without Waybill:')).toBeVisible({ timeout: 1_000 });
  }).toPass({ timeout: 40_000 });
  await open(`${project}?q=${name}`);
  await expect(page.locator('.cell', { hasText: 'Changed in Git by Eve' }).filter({ hasText: name })).toBeVisible();
});
