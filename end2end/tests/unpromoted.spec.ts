// What runs and was never promoted: on the page of its environment, until somebody adopts it or promotes what Git declares.
import { commitByHand } from '../fixtures/git.ts';
import { pushBuild } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import { project } from '../fixtures/waybill.ts';

test('what others brought is listed with who did, and adopted or promoted', async ({ page, open, demo, waybill, expectAccessible }) => {
  const { name, build } = await waybill.service('unpromoted');
  await waybill.follow('staging', 'development', name, build.digest);
  const next = await pushBuild(demo, `myapp/${name}`, '2.0.0');
  await waybill.runs('development', name, next);
  const swap = (from: typeof build, to: typeof build) => (text: string) =>
    text.replaceAll(from.digest, to.digest).replace(new RegExp(`(${name}[\\s\\S]*?tag: )"?${from.tag}"?`), `$1${to.tag}`);
  commitByHand(demo, 'environments/staging/values.yaml', swap(build, next));
  await waybill.runs('staging', name, next);

  await open(`${project}/staging`);
  const listed = page.getByRole('region', { name: 'Runs, but was never promoted' });
  const row = listed.getByRole('row').filter({ hasText: name });
  await expect(row).toContainText('by Eve in');
  await expectAccessible();
  await open(`${project}/staging/${name}`);
  await expect(page.getByText('What runs here was never promoted.')).toBeVisible();
  await expectAccessible();
  await page.getByRole('link', { name: 'Adopt it, or promote what Git declares' }).click();
  await row.getByRole('button', { name: `Adopt what ${name} runs` }).click();
  await expect(row).toHaveCount(0);
  await open(`${project}/staging/${name}`);
  await expect(page.getByRole('region', { name: 'History' })).toContainText(`adopted ${next.short}, which was never promoted`);
  await expect(page.getByText('What runs here was never promoted.')).toHaveCount(0);

  // And one that goes through the gates instead.
  const third = await pushBuild(demo, `myapp/${name}`, '3.0.0');
  await waybill.runs('development', name, third);
  commitByHand(demo, 'environments/staging/values.yaml', swap(next, third));
  await waybill.runs('staging', name, third);
  await open(`${project}/staging`);
  await row.getByRole('button', { name: `Promote what Git declares for ${name}` }).click();
  const started = page.getByRole('link', { name: 'See the promotion' }).or(page.getByRole('heading', { name: `${name} → staging` }));
  await expect(started.first()).toBeVisible();
  await expect(row).toHaveCount(0);
});
