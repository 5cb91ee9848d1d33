// The form Create Resource: with a script, without one, and on a narrow screen.
import type { Locator, Page } from '@playwright/test';
import { commitsWith, fileInGit } from '../fixtures/git.ts';
import { expect, test, titled } from '../fixtures/test.ts';
import { freshName, project } from '../fixtures/waybill.ts';

const upper = `sha256:${'AB'.repeat(32)}`;
const unknown = `sha256:${'0f'.repeat(32)}`;
/** What the browser says about a page that came with such a status. */
const refusedStatus = /status of 422/;

/** A field that is marked as wrong and described by `message`, beside its help. */
async function expectError(field: Locator, message: string | RegExp): Promise<void> {
  await expect(field).toHaveAttribute('aria-invalid', 'true');
  await expect(field).toHaveAccessibleDescription(typeof message === 'string' ? new RegExp(`${escaped(message)}$`) : message);
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const submit = (page: Page) => page.getByRole('main').getByRole('button', { name: 'Create Resource' });

/** Chooses the source; without a script the page must be asked for what the environment offers. */
async function chooseSource(page: Page, environment: string, resource: string, javaScriptEnabled: boolean): Promise<void> {
  await page.getByRole('radio', { name: 'Promote from environment' }).check();
  await page.getByLabel('Source environment').selectOption(environment);
  if (!javaScriptEnabled) await page.getByRole('button', { name: 'Update choices' }).click();
  await page.getByLabel('Source resource').selectOption(resource);
}

test('it has every field under its name', async ({ page, open, expectAccessible }) => {
  await open(`${project}/production/-/new`);
  await expect(page).toHaveTitle(titled('Create resource in production'));
  await expect(page.getByRole('radiogroup', { name: 'Source' }).getByRole('radio')).toHaveCount(2);
  await expect(page.getByRole('radio', { name: 'Image' })).not.toBeChecked();
  await expect(page.getByRole('radio', { name: 'Promote from environment' })).toBeChecked();
  await expect(page.getByRole('combobox', { name: 'Source environment' })).toBeVisible();
  await expect(page.getByRole('combobox', { name: 'Source resource' })).toBeVisible();
  await expect(page.getByRole('radiogroup', { name: 'Binding' }).getByRole('radio')).toHaveCount(2);
  await expect(page.getByRole('radio', { name: 'Track latest' })).toBeChecked();
  await expect(page.getByRole('radio', { name: 'Pin to digest' })).not.toBeChecked();
  await expect(page.getByRole('textbox', { name: 'Digest' })).toBeHidden();
  for (const name of ['Name', 'Replicas', 'Port', 'Variable 1 name', 'Variable 1 value', 'Ingress host', 'Health path']) {
    await expect(page.getByRole('textbox', { name, exact: true })).toBeVisible();
  }
  await expect(page.getByRole('group', { name: 'Environment variables' })).toBeVisible();
  await expect(page.getByRole('combobox', { name: 'Resource size' })).toBeVisible();
  await expect(page.getByRole('complementary', { name: 'Summary' })).toBeVisible();
  await expect(submit(page)).toBeVisible();
  await expect(page.getByRole('main')).toMatchAriaSnapshot(`
    - main:
      - heading "Create resource in production" [level=1]
      - group "Source":
        - radiogroup "Source":
          - radio "Image"
          - radio "Promote from environment" [checked]
        - combobox "Source environment":
          - option "Choose an environment" [selected]
          - option "development"
          - option "staging"
        - combobox "Source resource"
      - group "Binding":
        - radiogroup "Binding":
          - radio "Track latest" [checked]
          - radio "Pin to digest"
      - group "Runtime":
        - textbox "Name"
        - textbox "Replicas": "1"
        - textbox "Port"
        - button "Remove port 1"
        - button "Add port"
        - group "Environment variables":
          - textbox "Variable 1 name"
          - textbox "Variable 1 value"
          - button "Remove variable 1"
          - button "Add variable"
        - textbox "Ingress host"
        - combobox "Resource size":
          - option "The chart's default" [selected]
          - option "small"
          - option "medium"
          - option "large"
        - textbox "Health path"
      - complementary "Summary":
        - heading "Summary" [level=2]
        - heading "What will run" [level=3]
        - heading "What changes in Git" [level=3]
        - heading "Gates" [level=3]
      - button "Create Resource"
      - link "Cancel"
  `);
  await expectAccessible();

  await page.getByRole('radio', { name: 'Pin to digest' }).check();
  await expect(page.getByRole('textbox', { name: 'Digest' })).toBeVisible();
  await page.getByRole('radio', { name: 'Image' }).check();
  await expect(page.getByRole('combobox', { name: 'Source environment' })).toBeHidden();
  await expect(page.getByLabel('Image repository')).toBeVisible();
  await expect(page.getByRole('combobox', { name: 'Kind' })).toBeVisible();
  await expectAccessible();
});

test('it never offers the target itself', async ({ page, open, javaScriptEnabled }) => {
  await open(`${project}/staging/-/new`);
  const environments = page.getByLabel('Source environment');
  await expect(environments.getByRole('option')).toHaveText(['Choose an environment', 'development', 'production']);
  await environments.selectOption('development');
  if (!javaScriptEnabled) await page.getByRole('button', { name: 'Update choices' }).click();
  const resources = page.getByLabel('Source resource').getByRole('option');
  await expect(resources.filter({ hasText: /^web · [0-9a-f]{7} · 1\.\d\.\d · / })).toHaveCount(1);
  await expect(resources.filter({ hasText: 'nightly' })).toHaveCount(1);
});

test('each rule is told in its field, and nothing typed is lost', async ({ page, open, tolerate }) => {
  tolerate(refusedStatus);
  await open(`${project}/production/-/new`);
  const typed: [string, string, string][] = [
    ['Name', 'No Name', 'Use lower-case letters, digits and hyphens, beginning and ending with a letter or digit.'],
    ['Replicas', 'many', 'Enter a whole number from 0 to 1000.'],
    ['Port', '70000', 'Enter a port from 1 to 65535.'],
    ['Variable 1 name', '1ST', 'Use letters, digits and underscores, not beginning with a digit.'],
    ['Ingress host', 'https://shop.example.com', 'Enter a host name in lower case without scheme, port or path, for example api.example.com.'],
    ['Health path', 'healthz', 'Enter a path that begins with a slash, for example /healthz, without spaces.'],
  ];
  for (const [name, value] of typed) await page.getByLabel(name, { exact: true }).fill(value);
  await page.getByLabel('Variable 1 value').fill('kept as it is');
  await page.getByLabel('Resource size').selectOption('medium');
  await page.getByRole('radio', { name: 'Pin to digest' }).check();
  await page.getByLabel('Digest', { exact: true }).fill(upper);
  await submit(page).click();

  const list = page.getByRole('alert');
  await expect(list).toContainText(`${typed.length + 2} things need another look`);
  await expectError(page.getByLabel('Source environment'), 'Choose the environment to promote from.');
  await expectError(page.getByLabel('Digest', { exact: true }), /A digest is written in lower case/);
  for (const [name, value, message] of typed) {
    const field = page.getByLabel(name, { exact: true });
    await expectError(field, message);
    await expect(field).toHaveValue(value);
    await expect(list).toContainText(message);
  }
  await expect(page.getByLabel('Variable 1 value')).toHaveValue('kept as it is');
  await expect(page.getByLabel('Resource size')).toHaveValue('medium');
  await expect(page.getByLabel('Digest', { exact: true })).toHaveValue(upper);
  await expect(page.getByRole('radio', { name: 'Pin to digest' })).toBeChecked();

  // A line of the list leads to its field.
  await list.getByRole('link', { name: 'Enter a whole number from 0 to 1000.' }).click();
  await expect(page).toHaveURL(/#f-replicas$/);
});

test('a source, a repository and a free name are asked for', async ({ page, open, tolerate, javaScriptEnabled, waybill }) => {
  tolerate(refusedStatus);
  const { name } = await waybill.service('taken');
  await open(`${project}/development/-/new`);
  await chooseSource(page, 'staging', '', !!javaScriptEnabled);
  await page.getByLabel('Name', { exact: true }).fill(name);
  await submit(page).click();
  await expectError(page.getByLabel('Source resource'), 'Choose the resource of staging to take the image from.');
  await expectError(page.getByLabel('Name', { exact: true }), `development already has a resource ${name}. Choose another name.`);

  await page.getByRole('radio', { name: 'Image' }).check();
  await page.getByLabel('Image repository').fill('registry.example.com/myapp/api:1.0');
  await page.getByLabel('Name', { exact: true }).fill('');
  await submit(page).click();
  await expectError(page.getByLabel('Image repository'), /Leave out the tag and digest/);
  await expectError(page.getByLabel('Name', { exact: true }), 'Enter a name.');
});

test('rows are told apart, and an error stays with its row', async ({ page, open, tolerate }) => {
  tolerate(refusedStatus);
  await open(`${project}/production/-/new`);
  await page.getByLabel('Port', { exact: true }).fill('8080');
  await page.getByRole('button', { name: 'Add port' }).click();
  await page.getByLabel('Port 2').fill('8080');
  await page.getByRole('button', { name: 'Add variable' }).click();
  await page.getByLabel('Variable 1 name').fill('LOG_LEVEL');
  await page.getByLabel('Variable 2 name').fill('LOG_LEVEL');
  await page.getByLabel('Variable 2 value').fill('debug');
  await submit(page).click();
  await expectError(page.getByLabel('Port 2'), 'Port 8080 is listed twice.');
  await expectError(page.getByLabel('Variable 2 name'), 'LOG_LEVEL is listed twice.');

  await page.getByRole('button', { name: 'Remove port 1' }).click();
  await expect(page.getByLabel('Port 2')).toHaveCount(0);
  await expect(page.getByLabel('Port', { exact: true })).toHaveValue('8080');
  await page.getByRole('button', { name: 'Remove variable 1' }).click();
  await expect(page.getByLabel('Variable 2 name')).toHaveCount(0);
  await expect(page.getByLabel('Variable 1 name')).toHaveValue('LOG_LEVEL');
  await expect(page.getByLabel('Variable 1 value')).toHaveValue('debug');
  await submit(page).click();
  await expectError(page.getByLabel('Source environment'), 'Choose the environment to promote from.');
  await expect(page.getByLabel('Port', { exact: true })).not.toHaveAttribute('aria-invalid', 'true');
  await expect(page.getByLabel('Variable 1 name')).not.toHaveAttribute('aria-invalid', 'true');
});

test('pickers narrow as one chooses @hydrated @narrow', async ({ page, open, waybill }) => {
  const { name, build } = await waybill.service('pick');
  await open(`${project}/production/-/new`);
  const resources = page.getByLabel('Source resource');
  await expect(resources.getByRole('option')).toHaveText(['Choose the environment first']);
  await page.getByLabel('Source environment').selectOption('development');
  await expect(resources.getByRole('option', { name: `${name} · ${build.short} · 1.0.0` })).toHaveCount(1);
  await page.getByLabel('Source environment').selectOption('staging');
  await expect(resources.getByRole('option', { name: `${name} · ` })).toHaveCount(0);
  await page.getByLabel('Source environment').selectOption('development');
  await resources.selectOption(name);
  await expect(page.getByLabel('Name', { exact: true })).toHaveValue(name);

  const summary = page.getByRole('complementary', { name: 'Summary' });
  await expect(summary).toContainText(`development/${name}`);
  await expect(summary).toContainText(`production/${name}`);
  await expect(summary).toContainText(build.digest);
  await expect(summary).toContainText('environments/production/values.yaml');
  // The keys that it will write, until the change itself is there.
  await expect(summary).toContainText(new RegExp(`services\\.${name}\\.image\\.digest|added: \\+\\s+${name}:`));
});

test('what the form foresees is what is committed', async ({ page, open, waybill, expectAccessible, javaScriptEnabled }) => {
  const { name, build } = await waybill.service('foresee');
  await open(`${project}/staging/-/new`);
  await chooseSource(page, 'development', name, javaScriptEnabled !== false);
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Replicas').fill('2');
  // Without a script the page must be asked; with one it says so by itself.
  if (javaScriptEnabled === false) await page.getByRole('button', { name: 'Preview the change' }).click();
  const preview = page.getByRole('region', { name: 'Preview of the change in environments/staging/values.yaml' });
  await expect(preview).toContainText(`+      digest: ${build.digest}`);
  await expect(preview).toContainText('+    replicas: 2');
  await expectAccessible();
  const foreseen = await preview.locator('.added, .removed').allTextContents();
  await submit(page).click();
  await expect(page.getByRole('heading', { name: `${name} → staging` })).toBeVisible();
  const promotion = new URL(page.url()).pathname;
  await waybill.succeeded(promotion);
  await open(promotion);
  const change = page.getByRole('region', { name: 'Change in environments/staging/values.yaml' });
  await expect(change.locator('.added, .removed')).toHaveText(foreseen);
});

test('a digest in upper case is refused before it is sent @hydrated @narrow', async ({ page, open }) => {
  await open(`${project}/production/-/new`);
  await chooseSource(page, 'staging', 'web', true);
  await page.getByRole('radio', { name: 'Pin to digest' }).check();
  await page.getByLabel('Name', { exact: true }).fill(freshName('upper'));
  await page.getByLabel('Digest', { exact: true }).fill(upper);
  // What the form would post. The page also asks, by post, what changes elsewhere meanwhile.
  const posts: string[] = [];
  page.on('request', (request) => {
    if (request.method() === 'POST' && /\/create_resource$|\/-\/new$/.test(request.url())) posts.push(request.url());
  });
  await submit(page).click();
  await expectError(page.getByLabel('Digest', { exact: true }), /written in lower case/);
  await expect(page.getByRole('alert')).toBeFocused();
  expect(posts).toEqual([]);
});

test('a digest that the registry lacks is refused, and leaves nothing behind', async ({ page, open, tolerate, demo, javaScriptEnabled }) => {
  tolerate(refusedStatus);
  const name = freshName('ghost');
  await open(`${project}/production/-/new`);
  await chooseSource(page, 'staging', 'web', !!javaScriptEnabled);
  await page.getByRole('radio', { name: 'Pin to digest' }).check();
  await page.getByLabel('Digest', { exact: true }).fill(unknown);
  await page.getByLabel('Name', { exact: true }).fill(name);
  await submit(page).click();
  await expectError(page.getByLabel('Digest', { exact: true }), /myapp\/web/);
  await expect(page.getByLabel('Digest', { exact: true })).toHaveValue(unknown);
  await expect(page.getByLabel('Name', { exact: true })).toHaveValue(name);
  expect(commitsWith(demo, name)).toEqual([]);
  expect(fileInGit(demo, 'environments/production/values.yaml')).not.toContain(name);
  await page.goto(`${project}?q=${name}`);
  await expect(page.getByText('No resource matches')).toBeVisible();
});

test('recent artifacts fill the digest in', async ({ page, open, javaScriptEnabled, waybill }) => {
  const { name, build } = await waybill.service('offer');
  await open(`${project}/staging/-/new`);
  await chooseSource(page, 'development', name, !!javaScriptEnabled);
  await page.getByRole('radio', { name: 'Pin to digest' }).check();
  if (!javaScriptEnabled) await page.getByRole('button', { name: 'Update choices' }).click();
  await page.getByRole('group', { name: 'Recent artifacts' }).getByRole('button', { name: `Use 1.0.0 (${build.short})` }).click();
  await expect(page.getByLabel('Digest', { exact: true })).toHaveValue(build.digest);
  await expect(page.getByRole('radio', { name: 'Pin to digest' })).toBeChecked();
  await expect(page.getByLabel('Source resource')).toHaveValue(name);
});

test('a cut network keeps everything @hydrated @narrow', async ({ page, open, tolerate, waybill }) => {
  tolerate(/net::ERR_INTERNET_DISCONNECTED|net::ERR_FAILED/);
  const { name } = await waybill.service('cut');
  await open(`${project}/staging/-/new`);
  await chooseSource(page, 'development', name, true);
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Port', { exact: true }).fill('8080');
  await page.getByLabel('Variable 1 name').fill('LOG_LEVEL');
  await page.context().setOffline(true);
  await submit(page).click();
  await expect(page.getByRole('alert')).toContainText('Waybill could not be reached');
  await expect(page.getByLabel('Port', { exact: true })).toHaveValue('8080');
  await expect(page.getByLabel('Variable 1 name')).toHaveValue('LOG_LEVEL');
  await page.context().setOffline(false);
  await submit(page).click();
  await expect(page.getByRole('heading', { name: `${name} → staging` })).toBeVisible();
});

test('Create Resource lands on the promotion, which moves by itself', async ({ page, open, javaScriptEnabled, waybill }) => {
  const { name, build } = await waybill.service('land');
  await open(`${project}/staging/-/new`);
  await chooseSource(page, 'development', name, !!javaScriptEnabled);
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Port', { exact: true }).fill('8080');
  await page.getByLabel('Variable 1 name').fill('GREETING');
  await page.getByLabel('Variable 1 value').fill('hello: "world" # not a comment');
  await submit(page).click();
  await expect(page).toHaveURL(/\/promotions\/[^/]+$/);
  await expect(page.getByRole('heading', { name: `${name} → staging` })).toBeVisible();
  const succeeded = page.getByRole('main').getByText('Succeeded', { exact: true });
  if (javaScriptEnabled) {
    await expect(succeeded).toBeVisible({ timeout: 20_000 });
  } else {
    await waybill.succeeded(new URL(page.url()).pathname);
    await page.reload();
    await expect(succeeded).toBeVisible();
  }
  await expect(page.getByRole('region', { name: /^Change in environments\/staging/ })).toContainText(build.digest);
});
