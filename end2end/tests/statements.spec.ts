// What a promotion passed is signed: its page says so, with the commands that verify it, and the key is there for everybody.
import { pushBuild } from '../fixtures/registry.ts';
import { expect, test } from '../fixtures/test.ts';
import { freshName } from '../fixtures/waybill.ts';

test('a signed statement is shown with the commands that verify it', async ({ page, open, demo, waybill, request, expectAccessible }) => {
  const own = await waybill.ownProject(demo.registry.host, { attestation: 'required' });
  const name = freshName('signed');
  const build = await pushBuild(demo, `myapp/${name}`, '1.0.0');
  const source = { source: 'image', image: build.repository, kind: 'deployment', binding: 'track', name };
  await waybill.succeeded(await waybill.begin('development', source, own));
  const follows = { source: 'promote', source_environment: 'development', source_resource: name, binding: 'track', name };
  const promotion = await waybill.begin('production', follows, own);
  await waybill.succeeded(promotion);

  await open(promotion);
  const statement = page.getByRole('region', { name: 'Signed statement' });
  await expect(statement).toContainText('WAYBILL_ENVIRONMENT_production');
  await expect(statement).toContainText(`cosign verify-attestation --key waybill.pub`);
  await expect(statement).toContainText(`${build.repository}@${build.digest}`);
  await statement.getByText('The whole statement').click();
  await expect(statement).toContainText('"verificationResult": "PASSED"');
  await expectAccessible();

  const address = /curl -fsSo waybill.pub (\S+)/.exec((await statement.textContent()) ?? '')?.[1] ?? '';
  const key = await request.get(address);
  expect(await key.text()).toContain('-----BEGIN PUBLIC KEY-----');
  await open('/w/demo/-/settings/registries');
  await expect(page.getByRole('region', { name: 'Signing key' })).toContainText(address);
  await expectAccessible();
});
