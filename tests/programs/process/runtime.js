#!/usr/bin/env node
// Node.js: JIT-compiled work, timers, a worker thread, a child process, until standard input ends.
const { randomBytes } = require("crypto"), { Worker, isMainThread, parentPort } = require("worker_threads"), { spawn } = require("child_process");
if (!isMainThread) {
    let total = 0;
    parentPort.on("message", v => { if (v === null) process.exit(0); total += v; parentPort.postMessage(total); });
} else {
    const nonce = randomBytes(4).toString("hex"), table = new Map(), check = (ok, what) => { if (!ok) { console.log("FAILED " + what); process.exit(1); } };
    for (let i = 0; i < 50000; i++) table.set(nonce + i, { value: i, text: "x".repeat(i % 50) });
    // V8 reads /proc/PID/maps without O_CLOEXEC now and then: a child born meanwhile would hold that file, which is refused, for ever.
    const alone = 'for f in /proc/$$/fd/*; do n=${f##*/}; [ "$n" -le 2 ] || eval "exec $n>&-"; done; exec cat';
    const worker = new Worker(__filename), child = spawn("bash", ["-c", alone], { stdio: ["pipe", "pipe", "inherit"] });
    let sent = 0, expected = 0, answered = 0, ticks = 0, echoed = "", written = "", over = false;
    worker.on("message", total => { answered++; if (answered === sent) check(total === expected, "worker"); });
    child.stdout.on("data", d => { echoed += d; });
    const hot = n => { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) | 0; return s; }, first = hot(100000);
    const timer = setInterval(() => {
        ticks++; sent++; expected += ticks; worker.postMessage(ticks);
        const line = `line ${ticks}\n`; written += line; child.stdin.write(line);
        check(hot(100000) === first, "hot loop");
        const i = (ticks * 7919) % 50000, e = table.get(nonce + i); check(e.value === i && e.text.length === i % 50, "table");
        if (over && ticks > 3) {
            clearInterval(timer); child.stdin.end(); worker.postMessage(null);
            child.on("close", code => { check(code === 0 && echoed === written, "child"); console.log("done " + nonce); process.exit(0); });
        }
    }, 3);
    process.stdin.on("data", () => { }); process.stdin.on("end", () => { over = true; });
    console.log("ready " + nonce);
}
