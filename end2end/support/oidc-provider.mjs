// A real provider of OpenID Connect (the certified package `oidc-provider`) for tests of single sign-on, on a free port of this
// machine. Its first line says where: {"issuer": "http://127.0.0.1:PORT"}. With a number as its argument it takes that port.
//
// Its login page asks for a name and no password. Whom it knows, and with which keys it signs, tests change on the way:
//   PUT  /test/accounts/NAME   claims, as JSON; they replace those of the account
//   POST /test/rotate          signs with a new key from now on, and forgets the one before; ?kid=ID gives it that name
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const client = {
  client_id: 'waybill',
  client_secret: 'a secret of the test, with + and %',
  redirect_uris: ['http://127.0.0.1/sign-in/sso/callback'],
  grant_types: ['authorization_code'],
  response_types: ['code'],
};

const accounts = new Map([
  ['grace', { email: 'grace@example.com', email_verified: true, name: 'Grace Hopper', groups: ['release'] }],
]);

function key(kid = randomUUID()) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' };
}

/** The provider with one key. Another one knows the same accounts, and nobody who has logged in before. */
function provider(issuer, jwk) {
  const made = new Provider(issuer, {
    clients: [client],
    jwks: { keys: [jwk] },
    cookies: { keys: ['a key of the test'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => accounts.has(id) && { accountId: id, claims: () => ({ sub: id, ...accounts.get(id) }) },
    // Whoever has logged in has agreed.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope(oidc.params.scope);
      await grant.save();
      return grant;
    },
  });
  // Each test's Waybill has a port of its own.
  made.Client.prototype.redirectUriAllowed = (uri) => /^http:\/\/127\.0\.0\.1:\d+\/sign-in\/sso\/callback$/.test(uri);
  return made;
}

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

const page = (uid, said) => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><link rel="icon" href="data:,"><title>Log in at the provider</title></head>
<body>
<main>
<h1>Log in at the provider</h1>
<p>${said}</p>
<form method="post" action="/interaction/${uid}">
<label>Name <input name="login" autofocus></label>
<button name="do" value="login">Log in</button>
<button name="do" value="cancel">Cancel</button>
</form>
</main>
</body>
</html>
`;

/** The login page, and what is posted to it. */
async function interaction(request, response) {
  const { uid } = await current.interactionDetails(request, response);
  const form = new URLSearchParams(request.method === 'POST' ? await body(request) : '');
  if (form.get('do') === 'cancel') {
    await current.interactionFinished(request, response, { error: 'access_denied', error_description: 'called off' });
  } else if (accounts.has(form.get('login'))) {
    await current.interactionFinished(request, response, { login: { accountId: form.get('login') } });
  } else {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page(uid, form.has('login') ? 'Nobody here is called so.' : 'Anybody may, without a password.'));
  }
}

async function control(request, response, url) {
  const name = /^\/test\/accounts\/(\w+)$/.exec(url.pathname)?.[1];
  if (name && request.method === 'PUT') {
    accounts.set(name, JSON.parse(await body(request)));
  } else if (url.pathname === '/test/rotate' && request.method === 'POST') {
    begin(key(url.searchParams.get('kid') ?? undefined));
  } else {
    response.statusCode = 404;
  }
  response.end();
}

let current;
let answer;

function begin(jwk) {
  current = provider(issuer, jwk);
  answer = current.callback();
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  const failed = (error) => {
    console.error(error);
    response.statusCode = 500;
    response.end();
  };
  if (url.pathname.startsWith('/test/')) control(request, response, url).catch(failed);
  else if (url.pathname.startsWith('/interaction/')) interaction(request, response).catch(failed);
  else answer(request, response);
});
await new Promise((listening) => server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
begin(key('first'));
console.log(JSON.stringify({ issuer }));
