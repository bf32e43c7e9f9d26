// An HTTP server and its own client over kept connections; every answer is checked. Ends when standard input does.
const fs = require('fs'), http = require('http');
if (process.env.TRECR_STARTS) fs.appendFileSync(process.env.TRECR_STARTS, 'x');
const nonce = require('crypto').randomBytes(8).toString('hex');
const fail = what => { console.log('FAILED ' + what); process.exit(1); };
let asked = 0, answered = 0;
const server = http.createServer((request, response) => response.end('to ' + request.url)).listen(0, '127.0.0.1', () => {
    console.log('ready ' + nonce);
    server.keepAliveTimeout = 0; // a connection that was idle for 5 s would be closed just when it is used
    const agent = new http.Agent({ keepAlive: true });
    const timer = setInterval(() => {
        const path = '/' + ++asked;
        http.get({ port: server.address().port, path, agent }, response => {
            let body = '';
            response.on('data', data => body += data);
            response.on('end', () => body === 'to ' + path ? answered++ : fail(body));
        }).on('error', fail);
    }, 5);
    process.stdin.on('end', () => {
        clearInterval(timer);
        const end = Date.now() + 120000;
        const wait = () => answered === asked && asked > 0 ? (console.log('units ' + asked), console.log('done ' + nonce), process.exit(0)) : Date.now() > end ? fail(answered + ' of ' + asked) : setTimeout(wait, 10);
        wait();
    }).resume();
});
