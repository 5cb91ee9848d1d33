// Deleting: a page says what it means, a button does it, the history stays; with a script and without.
import { expect, test } from '../fixtures/test.ts';
import { freshName, project } from '../fixtures/waybill.ts';

test('a follower is pinned, the block leaves Git, and the history stays', async ({ page, open, waybill, tolerate, expectAccessible }) => {
  const { name, build } = await waybill.service('gone');
  const promotion = await waybill.follow('staging', 'development', name);

  await open(`${project}/development/${name}`);
  await page.getByRole('link', { name: `Delete ${name}…` }).click();
  await expect(page.getByRole('heading', { name: `Delete development/${name}`, exact: true })).toBeVisible();
  await expect(page.getByText('What runs goes on running')).toBeVisible();
  await expect(page.getByText(`staging/${name}, which would be pinned to ${build.digest.slice(7, 14)}`)).toBeVisible();
  await expectAccessible();

  // Without a choice, who follows it is in the way.
  tolerate(/status of 409/);
  await page.getByLabel(`Also remove ${name} from Git`).check();
  await page.getByRole('button', { name: `Delete development/${name}` }).click();
  await expect(page.getByRole('alert')).toContainText(`staging/${name} follows`);
  await page.getByLabel('Pin them to what they run').check();
  await page.getByLabel(`Also remove ${name} from Git`).check();
  await page.getByRole('button', { name: `Delete development/${name}` }).click();
  await expect(page.getByRole('heading', { name: 'development', exact: true })).toBeVisible();
  await expect(page.getByRole('link', { name, exact: true })).toHaveCount(0);

  // The follower stays, on what it runs.
  await open(`${project}/staging/${name}`);
  await expect(page.getByText('Pinned').first()).toBeVisible();
  await open(`/w/demo/-/activity?resource=${name}`);
  await expect(page.getByText(`deleted the resource myapp/development/${name}`)).toBeVisible();
  await expect(async () => {
    await open('/w/demo/-/activity?kind=removed_from_git');
    await expect(page.getByText(`removed ${name} from environments/development/values.yaml`)).toBeVisible({ timeout: 1_000 });
  }).toPass();

  await open(`/w/demo/-/delete/project/myapp/staging/${name}`);
  await page.getByRole('button', { name: `Delete staging/${name}` }).click();
  await expect(page.getByRole('heading', { name: 'staging', exact: true })).toBeVisible();
  await open(promotion);
  await expect(page.getByText(`staging/${name} was deleted. This is its history.`)).toBeVisible();
  await expectAccessible();
});

test('an environment, its project and its cluster go', async ({ page, open, waybill, demo, expectAccessible }) => {
  const own = await waybill.ownProject(demo.registry.host);
  const name = own.split('/').pop() ?? '';
  await open(`${own}/development`);
  await page.getByRole('link', { name: 'Delete development…' }).click();
  await expectAccessible();
  await page.getByRole('button', { name: `Delete ${name}/development` }).click();
  await expect(page).toHaveURL(new RegExp(`${own}$`));

  await open('/w/demo/-/settings/git');
  await page.getByRole('link', { name: `Delete ${name}…` }).click();
  await expect(page.getByText('Its Git credentials and channels are erased immediately.')).toBeVisible();
  await page.getByRole('button', { name: `Delete ${name}` }).click();
  await expect(page.getByRole('heading', { name: 'Projects' })).toBeVisible();
  await open('/w/demo/-/settings/clusters');
  await page.getByRole('link', { name: `Delete ${name}…` }).click();
  await page.getByRole('button', { name: `Delete ${name}` }).click();
  await expect(page.getByRole('link', { name: 'Add a cluster' })).toBeVisible();
  await expect(page.getByRole('region', { name: `Cluster ${name}` })).toHaveCount(0);
});

test("a workspace asks for its name, and the last one that is administered stays", async ({ page, open, tolerate, expectAccessible }) => {
  await open('/w/demo/-/settings');
  await page.getByRole('link', { name: 'Delete workspace demo…' }).click();
  await expect(page.getByRole('heading', { name: 'Delete demo' })).toBeVisible();
  await expectAccessible();
  await expect(page.getByText('demo is the only workspace that anybody administers.')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Delete demo' })).toHaveCount(0);
  tolerate(/status of 404/);
  await open(`/w/demo/-/delete/cluster/${freshName('nobody')}`);
  await expect(page.getByRole('heading', { name: 'There is no such page' })).toBeVisible();
});
