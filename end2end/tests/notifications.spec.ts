// A channel in the settings: made, with a key that is shown once; paused; removed; its address is never shown again.
import { expect, test } from '../fixtures/test.ts';
import { freshName } from '../fixtures/waybill.ts';

const settings = '/w/demo/-/settings/notifications';

test('a channel is made, paused and removed', async ({ page, open, tolerate, expectAccessible }) => {
  const name = freshName('channel');
  await open(settings);
  await expect(page.getByRole('heading', { name: 'New channel' })).toBeVisible();
  await expectAccessible();

  // A mistake is said in its field, and nothing typed is lost.
  tolerate(/status of 422/);
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Where to').fill('http://169.254.169.254/latest');
  await page.getByLabel('Succeeded').check();
  await page.getByRole('button', { name: 'Add channel' }).click();
  await expect(page.getByRole('alert')).toContainText('This address is never sent to');
  await expect(page.getByLabel('Name', { exact: true })).toHaveValue(name);
  await expect(page.getByLabel('Succeeded')).toBeChecked();
  await expectAccessible();

  await page.getByLabel('Where to').fill('https://hooks.example.com/services/of-nobody-else');
  await page.getByRole('button', { name: 'Add channel' }).click();
  await expect(page.getByText(`Channel ${name} is added.`)).toBeVisible();
  await expect(page.locator('#secret')).toHaveText(/^whsec_/);
  // It stands below the form, where people look.
  await expect(page.getByRole('region', { name: 'New channel' }).locator('#secret')).toBeInViewport();
  // The form is empty again: nobody adds the same twice by a second click.
  await expect(page.getByLabel('Name', { exact: true })).toHaveValue('');

  await open(settings);
  // What was sent to it meanwhile has rows that name it, too.
  const row = page.getByRole('row', { name: new RegExp(`^${name} `) });
  await expect(row).toContainText('Webhook to hooks.example.com');
  await expect(row).toContainText('Needs approval');
  const html = await page.content();
  expect(html).not.toContain('of-nobody-else');
  expect(html).not.toContain('whsec_');
  await row.getByText('More').click();
  await row.getByRole('button', { name: 'Pause' }).click();
  await expect(row).toContainText('paused');
  // With a script what was open stays open.
  const remove = row.getByRole('button', { name: 'Remove' });
  if (!(await remove.isVisible())) await row.getByText('More').click();
  await remove.click();
  await expect(row).toHaveCount(0);
});
