// People go before automation: back to an earlier build, held there, and on again; and what others change in Git.
import { commitByHand } from '../fixtures/git.ts';
import { pushBuild, RegistryDoor } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import { freshName, project } from '../fixtures/waybill.ts';

test('one click goes back, and holds', async ({ page, open, demo, waybill, expectAccessible }) => {
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
  await expectAccessible();
});

test('what is held goes on with one click, and says before with what', async ({ page, open, waybill, expectAccessible, demo, javaScriptEnabled }) => {
  const { name, build } = await waybill.service('held');
  await waybill.follow('staging', 'development', name);
  const next = await pushBuild(demo, `myapp/${name}`, '2.0.0');
  await waybill.runs('staging', name, next);
  await waybill.rolledBack('staging', name, build);
  const third = await pushBuild(demo, `myapp/${name}`, '3.0.0');
  await waybill.runs('development', name, third);

  await open(`${project}?q=${name}`);
  const cell = page.locator('.cell', { hasText: 'Held' }).filter({ hasText: name });
  // The board says what it would catch up with before anything is done.
  await cell.getByRole('button', { name: `Resume ${name} in staging` }).click();
  const decision = page.getByRole('dialog', { name: `Resume ${name} in staging` });
  await expect(decision).toContainText(`-      digest: ${build.digest}`);
  await expect(decision).toContainText(`+      digest: ${third.digest}`);
  await expect(decision).toContainText('Argo CD then brings myapp-staging to this commit');
  await expectAccessible();
  await decision.getByRole('button', { name: 'Not now' }).click();
  await expect(decision).toBeHidden();
  await waybill.runs('staging', name, build);

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

test('board and environment show what Promote would do, and do it', async ({ page, open, demo, waybill, javaScriptEnabled }) => {
  const { name, build } = await waybill.service('shown');
  await waybill.follow('staging', 'development', name, build.digest);
  for (const [at, tag] of [[`${project}?q=${name}`, '2.0.0'], [`${project}/staging`, '3.0.0']] as const) {
    const next = await pushBuild(demo, `myapp/${name}`, tag);
    await waybill.runs('development', name, next);
    await open(at);
    const button = page.getByRole('button', { name: `Promote ${name} to staging` });
    const decision = page.getByRole('dialog', { name: `Promote ${name} to staging` });
    if (javaScriptEnabled !== false) {
      // Closed with the keyboard, it is there again when it is asked for.
      await button.click();
      await expect(decision).toContainText(next.digest);
      await page.keyboard.press('Escape');
      await expect(decision).toBeHidden();
    }
    await button.click();
    await expect(decision).toContainText(`+      digest: ${next.digest}`);
    await expect(decision).toContainText(`+      tag: ${next.tag}`);
    await decision.getByRole('button', { name: 'Promote', exact: true }).click();
    await expect(decision).toHaveCount(0);
    await expect(page.getByText(javaScriptEnabled === false ? `${name} → staging` : `${name} is on its way to staging.`).first()).toBeVisible();
    await waybill.runs('staging', name, next);
  }
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

test('what waits is superseded by what is newer, and can be cancelled', async ({ page, open, demo, waybill, expectAccessible, javaScriptEnabled }) => {
  const door = await RegistryDoor.open(demo);
  try {
    const own = await waybill.ownProject(door.host);
    const name = freshName('waits');
    const build = (tag: string) => pushBuild(demo, `myapp/${name}`, tag);
    const [first, second, third] = [await build('1.0.0'), await build('2.0.0'), await build('3.0.0')];
    const fields = { source: 'image', image: `${door.host}/myapp/${name}`, kind: 'deployment', binding: 'pin', digest: first.digest, name };
    await waybill.succeeded(await waybill.begin('development', fields, own));
    const resource = `${own}/development/${name}`;
    const ended = (word: string) => page.getByRole('main').getByText(word, { exact: true }).first();
    const cancel = page.getByRole('button', { name: 'Cancel promotion' });

    // The registry doesn't answer for them any more, so they wait.
    door.shut();
    await open(await waybill.pin(resource, second.digest));
    await expect(cancel).toBeVisible();
    const newer = await waybill.pin(resource, third.digest);
    // Without a script the page must be asked.
    if (javaScriptEnabled === false) await page.reload();
    await expect(ended('Superseded')).toBeVisible();
    await expect(cancel).toHaveCount(0);
    await expect(page.getByText('A newer promotion took its place.').first()).toBeVisible();
    await expectAccessible();

    await open(newer);
    await cancel.click();
    await expect(ended('Cancelled')).toBeVisible();
    await expect(page.getByText(/cancelled it/).first()).toBeVisible();
    await expectAccessible();
    await open(resource);
    await expect(page.getByRole('region', { name: 'What runs' })).toContainText(first.short);
  } finally {
    await door.close();
  }
});
