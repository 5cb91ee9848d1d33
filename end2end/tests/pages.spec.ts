// Every page: what it shows, how it is used by keyboard, that it is accessible in both themes, what it says when
// something is wrong.
import type { Page } from '@playwright/test';
import { pushBuild } from '../fixtures/registry.ts';
import { expect, signedOut, test, titled } from '../fixtures/test.ts';
import { project } from '../fixtures/waybill.ts';

/** On a narrow screen the rail is behind a menu. */
async function openMenu(page: Page): Promise<void> {
  const menu = page.locator('summary', { hasText: 'Menu' });
  if (await menu.isVisible()) await menu.click();
}

test.describe('signed out', () => {
  test.use(signedOut);

  test('one signs in and comes to where one was going', async ({ page, demo, tolerate, expectAccessible }) => {
    tolerate(/status of (401|422)/);
    await page.goto(`${project}?q=web&diff=1`);
    await expect(page).toHaveURL(/\/sign-in\?next=/);
    await expect(page).toHaveTitle('Sign in · Waybill');
    await expect(page.getByRole('main')).toMatchAriaSnapshot(`
      - main:
        - paragraph: Waybill
        - heading "Sign in" [level=1]
        - text: E-mail address
        - textbox "E-mail address"
        - text: Password
        - textbox "Password"
        - button "Sign in"
        - link "Sign in with Example"
        - form "Theme":
          - button "Light theme"
          - button "Dark theme"
          - button "Theme of the system"
    `);
    await expectAccessible();
    await page.getByLabel('E-mail address').fill(demo.admin.email);
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page.getByRole('alert')).toBeVisible();
    await expect(page.getByLabel('E-mail address')).toHaveValue(demo.admin.email);
    await expectAccessible();
    await page.getByLabel('Password').fill(demo.admin.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page).toHaveURL(/\/w\/demo\/myapp\?q=web&diff=1$/);
    await expect(page.getByRole('heading', { name: 'myapp' })).toBeVisible();

    await openMenu(page);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await expect(page).toHaveURL(/\/sign-in/);
    await page.goto(project);
    await expect(page).toHaveURL(/\/sign-in\?next=/);
  });
});

test('projects lead to boards', async ({ page, open }) => {
  await open('/');
  await expect(page).toHaveTitle(titled('Projects'));
  const row = page.getByRole('row', { name: 'myapp' });
  await expect(row.getByRole('link', { name: 'development' })).toBeVisible();
  await row.getByRole('link', { name: 'myapp', exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`${project}$`));
  await expect(page.getByRole('heading', { name: 'myapp', level: 1 })).toBeVisible();
});

test('the board shows what runs where', async ({ page, open, waybill }) => {
  const { name, build } = await waybill.service('seen');
  await waybill.follow('staging', 'development', name);
  await open(`${project}?q=${name}`);
  await expect(page).toHaveTitle(titled('myapp board'));
  await expect(page.getByRole('main')).toMatchAriaSnapshot(`
    - main:
      - navigation "Breadcrumb":
        - list:
          - listitem:
            - link "Projects"
          - listitem:
            - link "myapp"
      - heading "myapp" [level=1]
      - status: /1 of \\d+ resources/
      - search "Filter the board":
        - searchbox "Search resources, tags and digests"
        - combobox "State"
        - combobox "Environment"
        - checkbox "Only differences"
      - region "Board":
        - table "What runs where in myapp":
          - rowgroup:
            - row:
              - columnheader "Resource"
              - columnheader /development/:
                - link "development"
              - columnheader /staging/:
                - link "staging"
              - columnheader /production/:
                - link "production"
  `);
  const row = page.getByRole('row', { name });
  await expect(row.getByRole('link', { name: `${name} in development: ${build.short} 1.0.0` })).toBeVisible();
  await expect(row.getByRole('link', { name: `${name} in staging: ${build.short} 1.0.0` })).toBeVisible();
  await expect(row.getByRole('cell', { name: /tracks development/ })).toContainText('Healthy');
});

test('the board follows a push by itself @hydrated @narrow', async ({ page, open, demo, waybill }) => {
  const { name, build } = await waybill.service('live');
  await open(`${project}?q=${name}`);
  const link = (short: string) => page.getByRole('link', { name: `${name} in development: ${short}` });
  await expect(link(build.short)).toBeVisible();
  await page.evaluate(() => document.body.setAttribute('data-same-document', ''));
  const next = await pushBuild(demo, `myapp/${name}`, '1.1.0');
  await expect(link(next.short)).toBeVisible();
  await expect(page.locator('body[data-same-document]')).toBeAttached();
});

test('search and filters are kept in the address', async ({ page, open, waybill, javaScriptEnabled }) => {
  const { name, build } = await waybill.service('find');
  await open(project);
  await page.getByRole('searchbox').fill(build.short);
  await page.getByRole('combobox', { name: 'Environment' }).selectOption('development');
  await page.getByLabel('Only differences').check();
  if (!javaScriptEnabled) await page.getByRole('button', { name: 'Filter' }).click();
  await expect(page).toHaveURL(new RegExp(`q=${build.short}&(state=&)?env=development&diff=1$`));
  await expect(page.getByRole('rowheader')).toHaveText([name]);
  await expect(page.getByRole('columnheader', { name: 'staging' })).toHaveCount(0);
  await page.reload();
  await expect(page.getByRole('rowheader')).toHaveText([name]);
  await expect(page.getByRole('searchbox')).toHaveValue(build.short);
  await expect(page.getByRole('combobox', { name: 'Environment' })).toHaveValue('development');
  await expect(page.getByLabel('Only differences')).toBeChecked();

  await page.goto(`${project}?q=no-such-thing`);
  await expect(page.getByRole('heading', { name: 'No resource matches' })).toBeVisible();
  await page.getByRole('link', { name: 'Show all resources' }).click();
  // The first of them: other tests make more than the board shows at once.
  await expect(page.getByRole('rowheader', { name: 'api', exact: true })).toBeVisible();
});

test('the board is used by keyboard, and the focus is seen @hydrated', async ({ page, open }) => {
  await open(`${project}?q=web`);
  const order: string[] = [];
  // The navigation has a line for each project, and other tests make projects.
  for (let i = 0; i < 200; i += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const focused = document.activeElement as HTMLElement;
      const style = getComputedStyle(focused);
      const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
      return { name: focused.getAttribute('aria-label') ?? focused.textContent?.trim() ?? '', seen: seen || style.boxShadow !== 'none' };
    });
    expect(at.seen, `the focus on "${at.name}" is visible`).toBe(true);
    order.push(at.name);
    if (at.name.startsWith('web in production')) break;
  }
  expect(order[0]).toBe('Skip to content');
  const places = ['Projects', 'Search resources, tags and digests', 'State', 'Environment', 'Board', 'development', 'staging', 'production'];
  const found = places.map((name) => order.lastIndexOf(name));
  expect(found, `${order}`).toEqual([...found].sort((a, b) => a - b));
  expect(Math.min(...found), `${order}`).toBeGreaterThan(0);
  expect(order.at(-1)).toMatch(/^web in production: /);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'web', level: 1 })).toBeVisible();
});

test('an environment lists its resources and leads to the form', async ({ page, open }) => {
  await open(`${project}/staging`);
  await expect(page.getByRole('heading', { name: 'staging', level: 1 })).toBeVisible();
  const row = page.getByRole('table', { name: 'Resources in staging' }).getByRole('row', { name: /^web/ });
  await expect(row).toContainText('tracks development');
  await expect(page.getByText('environments/staging/values.yaml')).toBeVisible();
  await page.getByRole('link', { name: 'Create Resource' }).click();
  await expect(page.getByRole('heading', { name: 'Create resource in staging' })).toBeVisible();
});

test('a resource has its history, and its pin is edited', async ({ page, open, demo, tolerate, waybill, javaScriptEnabled, expectAccessible }) => {
  tolerate(/status of 422/);
  const { name, build } = await waybill.service('pinned');
  await waybill.follow('staging', 'development', name, build.digest);
  const next = await pushBuild(demo, `myapp/${name}`, '2.0.0');
  await waybill.runs('development', name, next);
  await open(`${project}/staging/${name}`);
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
  await expect(page.getByText('Pinned to digest')).toBeVisible();
  await expect(page.getByRole('heading', { name: '1 artifact behind development' })).toBeVisible();
  const history = page.getByRole('region', { name: 'History' }).getByRole('row');
  await expect(history).toHaveCount(2);
  await expect(history.nth(1)).toContainText(build.short);
  await expect(history.nth(1)).toContainText('Succeeded');
  await expectAccessible();

  const digest = page.getByLabel('Digest', { exact: true });
  const edit = page.getByRole('button', { name: 'Edit pin' });
  await digest.fill(`sha256:${'AB'.repeat(32)}`);
  await edit.click();
  await expect(digest).toHaveAttribute('aria-invalid', 'true');
  await expect(digest).toHaveAccessibleDescription(/written in lower case/);
  await expect(digest).toHaveValue(`sha256:${'AB'.repeat(32)}`);
  const lacking = `sha256:${'0f'.repeat(32)}`;
  await digest.fill(lacking);
  await edit.click();
  await expect(digest).toHaveAccessibleDescription(new RegExp(name));
  await expect(digest).toHaveValue(lacking);

  await page.getByRole('button', { name: `Use 2.0.0 (${next.short})` }).click();
  await expect(digest).toHaveValue(next.digest);
  await edit.click();
  await expect(page).toHaveURL(/\/promotions\//);
  await expect(page.getByRole('heading', { name: `${name} → staging` })).toBeVisible();
  await waybill.succeeded(new URL(page.url()).pathname);
  await open(`${project}/staging/${name}`);
  await expect(page.getByRole('region', { name: 'History' }).getByRole('row')).toHaveCount(3);
  await expect(page.getByRole('region', { name: 'What runs' })).toContainText(next.short);
});

test('a promotion shows its steps, its change and its story', async ({ page, open, waybill, expectAccessible }) => {
  const { name, build } = await waybill.service('told');
  const path = await waybill.follow('staging', 'development', name);
  await open(path);
  await expect(page).toHaveTitle(titled(`${name} → staging`));
  await expect(page.getByRole('main').getByText('Succeeded', { exact: true })).toBeVisible();
  await expect(page.getByRole('main')).toMatchAriaSnapshot(`
    - main:
      - heading /told-.* → staging/ [level=1]
      - region "Steps":
        - heading "Steps" [level=2]
        - list:
          - listitem:
            - paragraph: /^Gates Skipped/
          - listitem:
            - paragraph: /^Resolve Done/
          - listitem:
            - paragraph: /^Mirror Skipped/
          - listitem:
            - paragraph: /^Commit Done/
          - listitem:
            - paragraph: /^Sync Done/
          - listitem:
            - paragraph: /^Verify Done/
      - region "Change in Git":
        - heading "Change in Git" [level=2]
        - region "Change in environments/staging/values.yaml"
      - region "Image":
        - heading "Image" [level=2]
        - heading "Before" [level=3]
        - paragraph: Nothing ran here before.
        - heading "After" [level=3]
      - region "Timeline":
        - heading "Timeline" [level=2]
        - list
  `);
  const diff = page.getByRole('region', { name: /^Change in environments/ });
  await expect(diff).toContainText(`added: +      digest: ${build.digest}`);
  await expect(page.getByRole('region', { name: 'Image' })).toContainText('linux/amd64');
  expect(await page.getByRole('region', { name: 'Timeline' }).getByRole('listitem').count()).toBeGreaterThan(3);
  await expectAccessible();
});

test('what is not there is said so, with a way out', async ({ page, tolerate, expectAccessible }) => {
  tolerate(/status of 40[34]/);
  for (const path of ['/nowhere', '/w/demo/nothing', `${project}/nowhere`, `${project}/staging/nothing`, '/promotions/nothing', '/w/others/theirs']) {
    const answer = await page.goto(path);
    expect(answer?.status(), path).toBe(404);
    await expect(page.getByRole('heading', { name: 'There is no such page' })).toBeVisible();
    await expect(page.getByRole('link', { name: 'Go to projects' })).toHaveAttribute('href', '/');
  }
  await expectAccessible();
});

test('the theme is chosen and stays', async ({ page, open }) => {
  await open('/');
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const choose = async (name: string) => {
    await openMenu(page);
    await page.getByRole('button', { name }).click();
    const theme = name === 'Dark theme' ? 'dark' : 'light';
    await expect(page.locator('html')).toHaveAttribute('data-theme', theme);
    // With a script the page doesn't wait until the server keeps it.
    await expect.poll(async () => (await page.context().cookies()).map(({ value }) => value)).toContain(theme);
  };
  await choose('Dark theme');
  const dark = await background();
  await page.goto(project);
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  expect(await background()).toBe(dark);
  await page.goto('/');
  await choose('Light theme');
  expect(await background()).not.toBe(dark);
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'light');
});

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(`in ${colorScheme} colours`, () => {
    test.use({ colorScheme });

    const pages = ['/', project, `${project}/production`, `${project}/production/-/new`, `${project}/staging/web`];
    for (const path of pages) {
      test(`${path} is accessible @hydrated @narrow`, async ({ page, open, expectAccessible }) => {
        await open(path);
        await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
        await expectAccessible();
      });
    }

    test('a promotion is accessible @hydrated @narrow', async ({ page, open, waybill, expectAccessible }) => {
      const { name } = await waybill.service('looked-at');
      await open(`${project}/development/${name}`);
      await page.getByRole('region', { name: 'History' }).getByRole('link', { name: 'Promotion' }).first().click();
      await expect(page.getByRole('heading', { name: 'Steps' })).toBeVisible();
      await expectAccessible();
    });

    test('an error is accessible @hydrated @narrow', async ({ page, expectAccessible, tolerate }) => {
      tolerate(/status of 404/);
      await page.goto('/nowhere');
      await expect(page.getByRole('heading', { name: 'There is no such page' })).toBeVisible();
      await expectAccessible();
    });

    test.describe('signed out', () => {
      test.use(signedOut);
      test('signing in is accessible @hydrated @narrow', async ({ page, expectAccessible }) => {
        await page.goto('/sign-in');
        await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
        await expectAccessible();
      });
    });
  });
}
