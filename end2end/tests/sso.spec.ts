// Signing in through a provider of OpenID Connect (support/oidc-provider.mjs), and out again.
import { project } from '../fixtures/waybill.ts';
import { expect, signedOut, test } from '../fixtures/test.ts';

test.describe('single sign-on', () => {
  test.use(signedOut);

  test('leads to the provider, and back to where one was going', async ({ page, tolerate, expectAccessible }) => {
    tolerate(/status of 401/);
    await page.goto(`${project}?q=web`);
    await expect(page).toHaveURL(/\/sign-in\?next=/);

    // Called off there, one is told so, and may try again.
    await page.getByRole('link', { name: 'Sign in with Example' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await expect(page.getByRole('alert')).toContainText('Signing in with Example was called off');
    await expectAccessible();

    await page.getByRole('link', { name: 'Sign in with Example' }).click();
    await expect(page.getByRole('heading', { name: 'Log in at the provider' })).toBeVisible();
    await page.getByLabel('Name').fill('grace');
    await page.getByRole('button', { name: 'Log in' }).click();
    await expect(page).toHaveURL(/\/w\/demo\/myapp\?q=web$/);
    await expect(page.getByRole('heading', { name: 'myapp' })).toBeVisible();

    await page.goto('/account');
    await expect(page.getByRole('heading', { name: 'Grace Hopper' })).toBeVisible();
    await expect(page.getByText('Your password is kept and changed there.')).toBeVisible();
    await expect(page.getByRole('heading', { name: 'Change password' })).toHaveCount(0);
    await expectAccessible();

    const menu = page.locator('summary', { hasText: 'Menu' });
    if (await menu.isVisible()) await menu.click();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await expect(page).toHaveURL(/\/sign-in/);
    await page.goto('/account');
    await expect(page).toHaveURL(/\/sign-in\?next=/);
  });
});
