// Registries, clusters and repositories in the settings: added, tested, removed; secrets go one way.
import { expect, test } from '../fixtures/test.ts';
import { freshName } from '../fixtures/waybill.ts';

const settings = '/w/demo/-/settings';

test('a cluster is added, tested and removed', async ({ page, open, demo, tolerate, expectAccessible, javaScriptEnabled }) => {
  const name = freshName('spare');
  await open(`${settings}/clusters`);
  await page.getByRole('link', { name: 'Add a cluster' }).click();
  await expect(page.getByRole('heading', { name: 'New cluster' })).toBeVisible();
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Address').fill('http://169.254.169.254');
  await page.getByLabel('Token', { exact: true }).fill('a.wrong.token');
  await page.getByLabel('Pulls from').selectOption('builds');
  await page.getByLabel('Copies images to').fill('registry.example.com/live/{name}');
  tolerate(/status of 422/);
  await page.getByRole('button', { name: 'Save cluster' }).click();
  await expect(page.getByRole('alert')).toContainText('link-local');
  await expect(page.getByLabel('Pulls from')).toHaveValue('builds');
  await expect(page.getByLabel('Copies images to')).toHaveValue('registry.example.com/live/{name}');
  await expectAccessible();

  // What is typed is tried before it is saved. Where there is a script, all of it is still there.
  const token = page.getByLabel('Token', { exact: true });
  const typeAgain = async () => {
    if (javaScriptEnabled === false) {
      await expect(token).toHaveValue('');
      await token.fill('a.wrong.token');
    } else await expect(token).toHaveValue('a.wrong.token');
  };
  await typeAgain();
  await page.getByLabel('Address').fill(demo.argocd.url);
  await page.getByRole('button', { name: 'Test connection' }).click();
  const found = page.getByRole('status').filter({ hasText: 'Nothing was saved.' });
  await expect(found).toContainText("Fails Argo CD's token It was refused");
  await expect(found).toContainText(`Works Reach the registry ${demo.registry.host} answers.`);
  await expectAccessible();
  await typeAgain();
  await page.getByRole('button', { name: 'Save cluster' }).click();
  await expect(page.getByText(`Cluster ${name} is added.`)).toBeVisible();

  const cluster = page.getByRole('region', { name: `Cluster ${name}` });
  await expect(cluster).toContainText(demo.argocd.url);
  await expect(cluster).toContainText('registry.example.com/live/{name}');
  await cluster.getByRole('link', { name: `Edit ${name}` }).click();
  await expect(page.getByRole('heading', { name: `Cluster ${name}` })).toBeVisible();
  await expect(token).toHaveValue('');
  await expect(page.getByText('A secret is stored. Leave this empty to keep it.')).toBeVisible();
  await page.getByRole('link', { name: 'Cancel' }).click();
  await cluster.getByRole('link', { name: `Delete ${name}` }).click();
  await expect(page.getByRole('heading', { name: `Delete ${name}` })).toBeVisible();
  await expectAccessible();
  await page.getByRole('button', { name: `Delete ${name}` }).click();
  await expect(page.getByRole('link', { name: 'Add a cluster' })).toBeVisible();
  await expect(cluster).toHaveCount(0);
});

test('a registry is added, tested and removed', async ({ page, open, demo, tolerate, expectAccessible, javaScriptEnabled }) => {
  const name = freshName('mirror');
  await open(`${settings}/registries`);
  await page.getByRole('link', { name: 'Add a registry' }).click();
  await expect(page.getByRole('heading', { name: 'New registry' })).toBeVisible();
  await expectAccessible();
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Host').fill(`http://${demo.registry.host}`);
  const push = page.getByRole('group', { name: 'Push' });
  await push.getByLabel('User', { exact: true }).fill('pusher');
  await push.getByLabel('Password', { exact: true }).fill('a-password');
  tolerate(/status of 422/);
  await page.getByRole('button', { name: 'Save registry' }).click();
  await expect(page.getByRole('alert')).toContainText('without scheme');
  await expectAccessible();
  if (javaScriptEnabled === false) await push.getByLabel('Password', { exact: true }).fill('a-password');
  await page.getByLabel('Host').fill(demo.registry.host);
  await page.getByLabel('It speaks plain HTTP').check();
  await page.getByRole('button', { name: 'Test connection' }).click();
  const found = page.getByRole('status').filter({ hasText: 'Nothing was saved.' });
  await expect(found).toContainText(`Works Reach the registry ${demo.registry.host} answers.`);
  await expectAccessible();
  if (javaScriptEnabled === false) await push.getByLabel('Password', { exact: true }).fill('a-password');
  await page.getByRole('button', { name: 'Save registry' }).click();
  await expect(page.getByText(`Registry ${name} is added.`)).toBeVisible();
  const registry = page.getByRole('region', { name: `Registry ${name}` });
  await expect(registry).toContainText('as pusher, password stored');
  await registry.getByRole('link', { name: `Edit ${name}` }).click();
  await expect(page.getByRole('heading', { name: `Registry ${name}` })).toBeVisible();
  await expect(push.getByLabel('Password', { exact: true })).toHaveValue('');
  await page.getByRole('link', { name: 'Cancel' }).click();
  await registry.getByRole('link', { name: `Delete ${name}` }).click();
  await expect(page.getByRole('heading', { name: `Delete ${name}` })).toBeVisible();
  await page.getByRole('button', { name: `Delete ${name}` }).click();
  await expect(page.getByRole('link', { name: 'Add a registry' })).toBeVisible();
  await expect(registry).toHaveCount(0);
});

test("a repository's test says what works", async ({ page, open, expectAccessible }) => {
  await open(`${settings}/git`);
  const project = page.getByRole('region', { name: 'Project myapp' });
  await project.getByRole('button', { name: 'Test connection' }).click();
  const found = page.getByRole('status').filter({ hasText: 'Nothing was saved.' });
  await expect(found).toContainText('Works Push');
  await expect(found).toContainText('environments/production/values.yaml It declares');
  await expectAccessible();
  await project.getByRole('link', { name: 'Edit myapp' }).click();
  await expect(page.getByLabel('User', { exact: true })).toHaveValue('waybill');
  // Of the ways to sign in only the chosen one has its fields there.
  await expect(page.getByLabel('Private key')).toBeHidden();
  await page.getByLabel('Sign in', { exact: true }).selectOption('key');
  await expect(page.getByLabel('Private key')).toBeVisible();
  await expect(page.getByLabel('Token', { exact: true })).toBeHidden();
  await expectAccessible();
});

test('what a test found stands beside its button', async ({ page, open, javaScriptEnabled }) => {
  const answered = async (place: ReturnType<typeof page.getByRole>) => {
    await place.getByRole('button', { name: 'Test connection' }).click();
    await expect(place.getByRole('status').filter({ hasText: 'Nothing was saved.' })).toBeInViewport();
    await expect(page.locator('#answer')).toHaveCount(1);
    if (javaScriptEnabled !== false) await expect(page.locator('#answer')).toBeFocused();
  };
  await open(`${settings}/git`);
  await answered(page.getByRole('region', { name: 'Project myapp' }));
  await open(`${settings}/clusters`);
  await answered(page.getByRole('region', { name: 'Cluster local' }));
  await open(`${settings}/clusters?edit=local`);
  await answered(page.getByRole('region', { name: 'Cluster local' }));
});

test('a host of source repositories is added and removed', async ({ page, open, tolerate, expectAccessible }) => {
  const host = `${freshName('git')}.example.com`;
  await open(`${settings}/sources`);
  await page.getByRole('link', { name: 'Add a host' }).click();
  await expect(page.getByRole('heading', { name: 'New host' })).toBeVisible();
  await page.getByLabel('Host', { exact: true }).fill(`https://${host}/acme`);
  tolerate(/status of 422/);
  await page.getByRole('button', { name: 'Save host' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(page.getByLabel('Host', { exact: true })).toHaveValue(`https://${host}/acme`);
  await expectAccessible();
  await page.getByLabel('Host', { exact: true }).fill(host);
  await page.getByLabel('User', { exact: true }).fill('reader');
  await page.getByLabel('Token', { exact: true }).fill('a-token');
  await page.getByRole('button', { name: 'Save host' }).click();
  const listed = page.getByRole('region', { name: `Host ${host}` });
  await expect(listed).toContainText('as reader, token stored');
  await expectAccessible();
  await listed.getByRole('button', { name: `Remove ${host}` }).click();
  await expect(page.getByText(`${host} and its token are removed.`)).toBeVisible();
  await expect(listed).toHaveCount(0);
});

test('a trusted root is refused with what is wrong, and the built-in ones stay', async ({ page, open, tolerate, expectAccessible }) => {
  await open(`${settings}/registries`);
  const roots = page.getByRole('region', { name: 'Trusted roots' });
  await expect(roots.getByRole('row', { name: /^public / })).toContainText('built in');
  await roots.getByLabel('Name', { exact: true }).fill(freshName('root'));
  await roots.getByLabel('trusted_root.json').fill('{"mediaType": "something else"}');
  tolerate(/status of 422/);
  await roots.getByRole('button', { name: 'Save trusted root' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(roots.getByLabel('trusted_root.json')).toHaveValue('{"mediaType": "something else"}');
  await expectAccessible();
});
