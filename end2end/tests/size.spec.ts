// What a first visit of the board costs, everything together, as it comes over the network: compressed.
import { expect, test } from '../fixtures/test.ts';
import { project } from '../fixtures/waybill.ts';

const limit = 300 * 1024;

test('the first load of the board takes at most 300 KB @hydrated', async ({ page }) => {
  const client = await page.context().newCDPSession(page);
  await client.send('Network.enable');
  await client.send('Network.setCacheDisabled', { cacheDisabled: true });
  const urls = new Map<string, { url: string; type: string }>();
  const sizes = new Map<string, number>();
  client.on('Network.responseReceived', ({ requestId, response, type }) => {
    const { pathname } = new URL(response.url);
    urls.set(requestId, { url: `${pathname} (${response.headers['content-encoding'] ?? 'as it is'})`, type });
  });
  // Headers included; of streams that never end what came so far.
  client.on('Network.dataReceived', ({ requestId, encodedDataLength }) => {
    sizes.set(requestId, (sizes.get(requestId) ?? 0) + encodedDataLength);
  });
  client.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    sizes.set(requestId, Math.max(encodedDataLength, sizes.get(requestId) ?? 0));
  });

  const alive = page.waitForRequest('**/api/events');
  // The board of one service, however many the other tests have made meanwhile: what each row adds is HTML.
  await page.goto(`${project}?q=web`, { waitUntil: 'load' });
  await alive;
  await expect(page.getByRole('row', { name: 'web' })).toBeVisible();
  // Everything that was asked for has come, the stream of events aside.
  await expect.poll(() => [...urls.keys()].filter((id) => !sizes.has(id) && !urls.get(id)?.url.startsWith('/api/events'))).toEqual([]);

  const rows = [...urls].map(([id, { url }]) => ({ url, bytes: sizes.get(id) ?? 0 }));
  rows.sort((a, b) => b.bytes - a.bytes);
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  const told = rows.map(({ url, bytes }) => `${(bytes / 1024).toFixed(1).padStart(8)} KB  ${url}`);
  console.log([`First load of the board: ${(total / 1024).toFixed(1)} KB of ${limit / 1024} KB`, ...told].join('\n'));
  const kinds = rows.map(({ url }) => url);
  for (const part of [/^\/w\/demo\/myapp /, /\.css /, /\.js /, /\.wasm /]) expect(kinds.some((url) => part.test(url)), `${part}`).toBe(true);
  expect(total).toBeLessThanOrEqual(limit);
});
