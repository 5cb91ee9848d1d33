// How long it takes from a navigation to the board until its filter answers a keystroke; seconds, one line each.
//
//   BENCH_EMAIL=… BENCH_PASSWORD=… CHROMIUM=… node interactive.mjs URL TIMES
import { chromium } from '@playwright/test';

const [url, times] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext({
  viewport: { width: 1280, height: 800 },
});
// The moment at which the first row is hidden, on the page's own clock, which begins with the navigation.
await context.addInitScript(() => {
  new MutationObserver((changes, observer) => {
    if (!changes.some(({ target }) => target instanceof HTMLTableRowElement && target.hidden)) return;
    observer.disconnect();
    window.answered = performance.now();
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ['hidden'] });
});
const page = await context.newPage();
page.on('console', (message) => message.type() === 'error' && console.error(message.text()));
page.on('pageerror', (error) => console.error(error.message));
page.on('requestfailed', (request) => console.error(request.url(), request.failure()?.errorText));
try {
  await page.goto(new URL('/sign-in', url).href);
  await page.locator('input[name=email]').fill(process.env.BENCH_EMAIL);
  await page.locator('input[name=password]').fill(process.env.BENCH_PASSWORD);
  await page.locator('input[name=password]').press('Enter');
  await page.waitForURL((there) => there.pathname === '/');
  for (let time = 0; time < Number(times); time += 1) {
    await page.goto(url, { waitUntil: 'commit' });
    const search = page.locator('input[type=search][name=q]');
    await search.waitFor();
    const patience = Date.now() + 60_000;
    let answered;
    // Whoever types before the script runs is not answered: they type again.
    while (answered === undefined) {
      if (Date.now() > patience) throw new Error('the filter does not answer');
      await search.fill('');
      await search.press('7');
      answered = await page
        .waitForFunction(() => window.answered, undefined, { polling: 10, timeout: 100 })
        .then((handle) => handle.jsonValue())
        .catch(() => undefined);
    }
    console.log((answered / 1000).toFixed(4));
  }
} finally {
  await browser.close();
}
