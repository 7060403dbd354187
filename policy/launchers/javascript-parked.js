// SPDX-License-Identifier: Apache-2.0
//
// What the two launchers of node do when they are parked: they warm up, wait for their job, and end
// faster. As unseen as they are: no fd, variable, listener or module of it is left to the script.
//
// The job's arguments and variables come through CLAIM_FD, as strings that end with NUL: how many
// arguments, these, how many variables, these, and 0 where there is no stdin. Nothing at all means that
// there will be no job.

'use strict';

const fs = require('fs');
const path = require('path');
const { inspect } = require('util');

const { process } = globalThis;
const { reallyExit, moduleLoadList, _getActiveRequests: getActiveRequests } = process;
const listeners = process.listeners.bind(process);
const { closeSync, openSync, readSync, writeSync, constants: { O_RDONLY, O_WRONLY } } = fs;
const { wait } = Atomics;
const never = new Int32Array(new SharedArrayBuffer(4));

const CLAIM_FD = 60;
const READY_FD = 61;
const FAULT_FD = 62;
const EBADMSG = 74;
const RETURN_FILE = path.join(path.dirname(__dirname), 'return');

// Whether the pipes are there: a job may set a variable of that name too.
function isParked() {
    try {
        return fs.fstatSync(CLAIM_FD).isFIFO() && fs.fstatSync(READY_FD).isFIFO();
    } catch {
        return false;
    }
}

function readAll(fd) {
    const buffer = Buffer.allocUnsafeSlow(1 << 16);
    const parts = [];

    for (let n; (n = readSync(fd, buffer)) > 0;)
        parts.push(Buffer.from(buffer.subarray(0, n)));
    closeSync(fd);
    return Buffer.concat(parts).toString();
}

function parse(record) {
    const fields = record.split('\0');
    const nArguments = Number(fields[0]);
    const nVariables = Number(fields[nArguments + 1]);

    if (fields.length !== nArguments + nVariables + 4 || fields.at(-1) !== '')
        throw new Error('the record of the claim is incomplete');
    return {
        args: fields.slice(1, nArguments + 1),
        variables: fields.slice(nArguments + 2, -2),
        hasStdin: fields.at(-2) !== '0',
    };
}

function takeOver({ args, variables, hasStdin }) {
    if (!hasStdin) {
        closeSync(0);
        openSync('/dev/null', O_RDONLY);  // the lowest that is free
    }
    process.argv.push(...args);
    for (const variable of variables) {
        const equals = variable.indexOf('=');
        process.env[variable.slice(0, equals)] = variable.slice(equals + 1);
    }
}

// What is called once there is a job, with nothing in it.
function warmUpHandover() {
    readAll(openSync(__filename, O_RDONLY));
    takeOver(parse('1\0a\x001\0B=c\x001\0') && { args: [], variables: [], hasStdin: true });
    for (const fd of sayLastWords('/dev/null', '/dev/null', 0))
        closeSync(fd);
    endQuickly(warmUpHandover);
}

// Returns when there is a job.
function park(warmUp) {
    if (!isParked())
        return false;
    delete process.env.SANDBOXD_PARK;
    warmUp();
    warmUpHandover();
    writeSync(READY_FD, 'P');
    closeSync(READY_FD);

    const record = readAll(CLAIM_FD);
    if (record === '')
        reallyExit(0);
    try {
        takeOver(parse(record));
    } catch {
        writeSync(FAULT_FD, Buffer.of(EBADMSG));
        reallyExit(1);
    }
    closeSync(FAULT_FD);
    return true;
}

// Makes process.stdout or process.stderr with all that is behind write(), and no more written.
function warmUpStream(name, use) {
    const stream = process[name];
    const handle = stream._handle;

    if (!handle || !handle.setBlocking)
        return;
    handle.setBlocking(true);
    stream.write('');
    for (const method of ['writeUtf8String', 'writeLatin1String', 'writeAsciiString', 'writev'])
        handle[method] = function (request, data) {
            request.oncomplete = undefined;
            return handle.writeBuffer(request, Buffer.alloc(0));
        };
    use();
    process._tickCallback();
    for (const method of ['writeUtf8String', 'writeLatin1String', 'writeAsciiString', 'writev'])
        delete handle[method];
}

// What most scripts make node do. Nothing is declared outside of a function or block: it would stay.
const EXAMPLE = `(() => {
const sum = (a, b) => a + b;
let total = 0;
class Shape {
    constructor(...sides) { this.sides = sides; }
    get around() { return this.sides.reduce(sum, 0); }
    toString() { return \`\${this.sides.join()}: \${this.around.toFixed(2)}\`; }
}
function twice({ x, ...rest }, y = 2) { return { x: x * y, ...rest }; }
for (const [i, c] of [...'abc'].entries()) {
    if (i % 2 === 0 || /b/.test(c))
        total += i ** 2;
}
for (let i = 0; i < 3; i++) total += i;
try {
    JSON.parse('{"a": [1, 2.5, null, "x"]');
} catch (error) {
    total += error.message.length;
}
const map = new Map(Object.entries(twice({ x: 1, z: [3] })));
const squares = Array.from({ length: 5 }, (_, i) => i * i).filter(x => x > 3).sort((a, b) => b - a);
return [String(new Shape(1, 2)), JSON.stringify(squares), map.size, new Set(squares).has(4), total,
    'A-b'.toLowerCase().split('-').map(parseInt), Math.max(...squares), new Date(0).toISOString()];
})()`;

// The same with the console of a bare script.
const BARE_EXAMPLE = `{
    for (const write of [console.log, console.error]) {
        write('%s is %d %o', 'x', 1, { a: 1 });
        write(42, 'x', 'a\\'b', -0, 1n, true, null, undefined, Symbol('s'), [1, 'a', [2]], { a: 1, b: { c: [] } });
        write(new Map([[1, {}]]), new Set(['a']), new Error('e'), () => {}, class A {}, new Date(0), /x/g);
        write(new Uint8Array(2), Promise.resolve(1), [['a', 1.5], ['b', 2]]);
    }
    (async () => {
        await null;
        await Promise.all([1, Promise.resolve(2)]);
    })();
}`;

// Each kind of value that inspect() has code for.
const VALUES = [
    42, 'x', -0, 1n, true, null, undefined, Symbol('s'), [1, 'a', [2]], { a: 1, b: { c: [] } }, new Map([[1, {}]]),
    new Set(['a']), new Error('e'), () => {}, class A {}, new Date(0), /x/g, new Uint8Array(2), Promise.resolve(1),
    'x\n\'y', Array(3), { [Symbol('k')]: 1, get g() { return 1; } }, [['a', 1.5], ['b', 2]],
];

function warmUpInspect() {
    for (const value of VALUES)
        inspect(value);
    JSON.stringify(VALUES.filter(value => typeof value !== 'bigint'));
}

function warmUpLoop() {
    const { setTimeout, clearTimeout, setImmediate, clearImmediate, setInterval, clearInterval, queueMicrotask } =
        globalThis;

    clearTimeout(setTimeout(() => {}, 1));
    clearInterval(setInterval(() => {}, 1));
    clearImmediate(setImmediate(() => {}));
    process.nextTick(() => {});
    queueMicrotask(() => {});
    (async () => {
        await null;
        await Promise.all([1, Promise.resolve(2)]);
    })().catch(() => {}).finally(() => {});
    process._tickCallback();
}

function warmUpConsole() {
    const use = write => () => {
        for (const value of VALUES)
            write(value);
        write('%s is %d %o', 'x', 1, { a: 1 });
        write('a', 1, [2]);
        write();
    };

    warmUpStream('stdout', use(console.log));
    warmUpStream('stderr', use(console.error));
}

// Ends the process with the status 0 that it is about to end with, without taking node apart. Called
// by a listener, which has to be the last, and by a script that has not changed how node ends.
function endQuickly(listener) {
    try {
        if (process.exitCode || process.reallyExit !== reallyExit || isAtWork() ||
            (listener && !isLast(listener)))
            return;
    } catch {
        return;
    }
    try {
        closeSync(1);
        closeSync(2);
        sayLastWords('/proc/self/comm', RETURN_FILE, 20);
    } catch {}
    reallyExit(0);
}

// Whether other threads have something to do that node would wait for. A Worker is in no list.
function isAtWork() {
    return getActiveRequests().length > 0 || moduleLoadList.includes('NativeModule worker_threads');
}

// Has the end told before node has come to it, which takes a while. Whoever listens ends us when the result
// is out, so that freeing our memory does not delay that.
function sayLastWords(name, waker, waitMsec) {
    const fds = [openSync(name, O_WRONLY)];

    writeSync(fds[0], '.exited 0');
    fds.push(openSync(waker, O_RDONLY));
    wait(never, 0, 0, waitMsec);
    return fds;
}

function isLast(listener) {
    const all = listeners('exit');

    return all[all.length - 1] === listener;
}

module.exports = { BARE_EXAMPLE, EXAMPLE, endQuickly, park, reallyExit, warmUpConsole, warmUpInspect, warmUpLoop };
