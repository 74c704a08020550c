// Which handler of the UI of Pipelines gets a path, by Express itself.
//
// Standard input is JSON: "routes", in their order, as [methods of the application, paths, name], and
// "asked", raw paths. Prints the names of the handlers that answer a GET, as a JSON list; "" for none.
const http = require('http');
const { readFileSync } = require('fs');
const express = require('express');

const { routes, asked } = JSON.parse(readFileSync(0, 'utf-8'));
const app = express();
for (const [method, paths, name] of routes) {
  app[method](paths, (_request, response) => response.send(name));
}
app.use((_request, response) => response.send(''));

const server = http.createServer(app).listen(0, '127.0.0.1', async () => {
  const answers = [];
  for (const path of asked) {
    answers.push(await answer(path));
  }
  process.stdout.write(JSON.stringify(answers));
  server.close();
});

function answer(path) {
  const to = { host: '127.0.0.1', port: server.address().port, path, agent: false };
  return new Promise((resolve, reject) => {
    const take = (response) => {
      let text = '';
      response.on('data', (part) => (text += part));
      response.on('end', () => resolve(text));
    };
    http.get(to, take).on('error', reject);
  });
}
