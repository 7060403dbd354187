// SPDX-License-Identifier: Apache-2.0
//
// Runs /box/main.js in a context that has ECMAScript and a console and nothing else, and reports
// the script's completion value in the return file.
//
// It is the payload's first code, so it has no privilege: the sandbox is what holds the script, and
// the bareness here is hygiene. What the script can reach is made inside its context, by setUp().
// Between there and here go primitives alone, and the host's errors never get in. Node is started
// with --disallow-code-generation-from-strings, which leaves eval to the context and takes it from
// the host: not even a host object that got in would give its Function constructor. And with
// --experimental-vm-modules, for without it import() rejects with an error of the host's.
//
// What is done in a parked node alone is in javascript-parked.js.

'use strict';

const fs = require('fs');
const path = require('path');
const vm = require('vm');

const RETURN_FILE = path.join(path.dirname(__dirname), 'return');
const RETURN_MAX = (1 << 20) - 64;  // of a file of 1 MiB, what is left to all but its first line

// Its text is run in the context. The functions of the object that it gives are the launcher's.
function setUp(write, ourFiles) {
    const { apply, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
    const { stringify } = JSON;
    const call = Function.prototype.call.bind(Function.prototype.call);
    const toStringTag = Object.prototype.toString;
    const functionToString = Function.prototype.toString;
    const promiseThen = Promise.prototype.then;
    const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
    const TYPED_ARRAY = getPrototypeOf(Uint8Array);
    const DEPTH = 2;
    const ITEMS = 100;
    const WIDTH = 76;

    const quote = text => {
        const double = stringify(text);
        return text.includes("'") ? double : `'${double.slice(1, -1).replaceAll('\\"', '"')}'`;
    };
    const isError = value =>
        value instanceof Error || call(toStringTag, value) === '[object Error]';

    function inspectPrimitive(value) {
        switch (typeof value) {
        case 'string': return quote(value);
        case 'bigint': return `${value}n`;
        case 'number': return Object.is(value, -0) ? '-0' : `${value}`;
        default: return String(value);
        }
    }

    function className(value) {
        const prototype = getPrototypeOf(value);
        const constructor = prototype && getOwnPropertyDescriptor(prototype, 'constructor')?.value;

        if (prototype === null)
            return '[Object: null prototype]';
        return typeof constructor === 'function' && constructor.name || 'Object';
    }

    function inspectFunction(value) {
        const isClass = /^class\b/.test(call(functionToString, value));
        const name = value.name ? (isClass ? ' ' : ': ') + value.name : ' (anonymous)';

        return `[${isClass ? 'class' : className(value)}${name}]`;
    }

    function inspectProperty(value, key, state) {
        const { get, set, value: item } = getOwnPropertyDescriptor(value, key);

        if (get || set)
            return get && set ? '[Getter/Setter]' : get ? '[Getter]' : '[Setter]';
        return inspectNested(item, state);
    }

    function propertiesOf(value, skip, state) {
        const parts = [];

        for (const key of ownKeys(value)) {
            if (skip(key) || !getOwnPropertyDescriptor(value, key).enumerable)
                continue;
            const name = typeof key === 'symbol' ? `[${String(key)}]` :
                IDENTIFIER.test(key) ? key : quote(key);
            parts.push(`${name}: ${inspectProperty(value, key, state)}`);
        }
        return parts;
    }

    function limited(items, size, show) {
        const parts = [];

        for (const item of items) {
            if (parts.length === ITEMS) {
                parts.push(`... ${size - ITEMS} more item${size - ITEMS > 1 ? 's' : ''}`);
                break;
            }
            parts.push(show(item));
        }
        return parts;
    }

    function join(prefix, open, parts, close, state) {
        const indent = '  '.repeat(state.seen.length);
        const line = parts.join(', ');

        if (parts.length === 0)
            return `${prefix}${open}${close}`;
        if (line.length + indent.length + prefix.length <= WIDTH && !line.includes('\n'))
            return `${prefix}${open} ${line} ${close}`;
        return `${prefix}${open}\n${indent}  ${parts.join(`,\n${indent}  `)}\n${indent}${close}`;
    }

    const isIndex = key => typeof key === 'string' && /^\d+$/.test(key);
    const never = () => false;

    // How an object is shown, its properties apart: [prefix, open, items, close, keys to skip].
    function shapeOf(value, state) {
        const name = className(value);
        const show = item => inspectNested(item, state);

        if (Array.isArray(value))
            return [name === 'Array' ? '' : `${name}(${value.length}) `, '[',
                limited(value, value.length, show), ']', isIndex];
        if (value instanceof TYPED_ARRAY)
            return [`${name}(${value.length}) `, '[',
                limited(value, value.length, show), ']', isIndex];
        if (value instanceof Map)
            return [`${name}(${value.size}) `, '{',
                limited(value, value.size, ([k, v]) => `${show(k)} => ${show(v)}`), '}', never];
        if (value instanceof Set)
            return [`${name}(${value.size}) `, '{', limited(value, value.size, show), '}', never];
        return [name === 'Object' ? '' : `${name} `, '{', [], '}', never];
    }

    // An object that is text rather than a structure, or undefined.
    function textOf(value) {
        if (typeof value === 'function')
            return inspectFunction(value);
        if (isError(value))
            return typeof value.stack === 'string' ? value.stack : `[${String(value)}]`;
        if (value instanceof RegExp)
            return String(value);
        if (value instanceof Date)
            return isNaN(value) ? 'Invalid Date' : value.toISOString();
        for (const type of [String, Number, Boolean, Symbol, BigInt])
            if (value instanceof type)
                return `[${type.name}: ${inspectPrimitive(value.valueOf())}]`;
        return undefined;
    }

    function inspectNested(value, state) {
        if (value === null || (typeof value !== 'object' && typeof value !== 'function'))
            return inspectPrimitive(value);
        if (state.seen.includes(value))
            return '[Circular]';

        const text = textOf(value);
        if (state.seen.length > DEPTH && text === undefined)
            return Array.isArray(value) ? '[Array]' : `[${className(value)}]`;

        state.seen.push(value);
        const [prefix, open, items, close, skip] = text === undefined ?
            shapeOf(value, state) : [`${text} `, '{', [], '}', never];
        const parts = items.concat(propertiesOf(value, skip, state));
        state.seen.pop();
        if (text !== undefined && parts.length === 0)
            return text;
        return join(prefix, open, parts, close, state);
    }

    // A Proxy's trap or a getter may throw anything: that is not the console's error.
    function inspect(value) {
        try {
            return inspectNested(value, { seen: [] });
        } catch {
            return `[${typeof value}]`;
        }
    }

    const show = value => typeof value === 'string' ? value : inspect(value);

    const CONVERSIONS = {
        '%s': show,
        '%d': value => typeof value === 'object' ? 'NaN' : inspectPrimitive(Number(value)),
        '%i': value => typeof value === 'object' ? 'NaN' : `${parseInt(value)}`,
        '%f': value => typeof value === 'symbol' ? 'NaN' : `${parseFloat(value)}`,
        '%j': value => stringify(value),
        '%o': inspect,
        '%O': inspect,
        '%c': () => '',
    };

    function format(args) {
        let used = 0;
        let text = '';

        if (typeof args[0] === 'string') {
            used = 1;
            text = args.length === 1 ? args[0] : args[0].replace(/%[sdifjoOc%]/g, match => {
                if (match === '%%')
                    return '%';
                return used < args.length ? CONVERSIONS[match](args[used++]) : match;
            });
        }
        for (let i = used; i < args.length; i++)
            text += (i ? ' ' : '') + show(args[i]);
        return text;
    }

    // Leaves the launcher's and node's own frames out of every stack.
    function prepareStackTrace(error, sites) {
        const lines = [];

        for (const site of sites) {
            const file = `${site.getFileName()}`;
            if (!file.startsWith('node:') && !ourFiles.split('\n').includes(file))
                lines.push(`\n    at ${site}`);
        }
        return String(error) + lines.join('');
    }

    let indent = '';
    const counts = new Map();

    function print(fd, text) {
        if (indent)
            text = indent + text.replaceAll('\n', `\n${indent}`);
        try {
            write(fd, `${text}\n`);
        } catch {
            // An error of the host's, and not for the script to hold.
        }
    }

    const printer = fd => (...args) => print(fd, format(args));
    const [log, warn] = [printer(1), printer(2)];
    const methods = {
        log,
        info: printer(1),
        debug: printer(1),
        error: printer(2),
        warn,
        trace(...args) {
            const stack = new Error(format(args)).stack;
            print(2, String(stack).replace(/^Error/, 'Trace').replace(/\n.*/, ''));
        },
        assert(condition, ...args) {
            if (!condition)
                warn(`Assertion failed${args.length ? ':' : ''}`, ...args);
        },
        dir(value) {
            print(1, inspect(value));
        },
        count(label = 'default') {
            counts.set(`${label}`, (counts.get(`${label}`) ?? 0) + 1);
            log(`${label}: ${counts.get(`${label}`)}`);
        },
        countReset(label = 'default') {
            counts.delete(`${label}`);
        },
        group(...args) {
            if (args.length)
                log(...args);
            indent += '  ';
        },
        groupEnd() {
            indent = indent.slice(2);
        },
    };
    const console = {};
    for (const name of ownKeys(methods)) {
        const method = methods[name];
        Object.defineProperty(method, 'name', { value: name, configurable: true });
        console[name] = method;
    }
    Object.defineProperty(globalThis, 'console',
        { value: console, writable: true, configurable: true });
    Object.defineProperty(Error, 'prepareStackTrace',
        { value: prepareStackTrace, writable: true, configurable: true });
    delete globalThis.WebAssembly;

    // Whether JSON says all of the value. A Map has no keys that JSON sees, NaN becomes null.
    function checkJson(key, value) {
        const type = typeof value;

        if (type === 'function' || type === 'symbol' || (type === 'number' && !isFinite(value)) ||
            (type === 'undefined' && Array.isArray(this)))
            throw null;
        if (type === 'object' && value !== null && !Array.isArray(value) &&
            Object.keys(value).length === 0 &&
            getPrototypeOf(value) !== null && getPrototypeOf(value) !== Object.prototype)
            throw null;
        return value;
    }

    let result;
    return {
        keep(value) {
            result = value === 'use strict' ? undefined : value;  // a script of declarations
        },
        // Once the promises are done: the value of one that is kept is what it resolved to.
        settle() {
            apply(promiseThen, result, [value => { result = value; }, () => {}]);  // or it throws
            result = undefined;
        },
        hasValue: () => result !== undefined,
        text: () => inspect(result),
        json() {
            const json = stringify(result);
            stringify(result, checkJson);
            return json;
        },
        importError: name =>
            new TypeError(`Cannot import ${quote(name)}: there are no modules here`),
        describe(error) {
            const isObject = typeof error === 'object' && error !== null;
            const hasStack = isObject && typeof error.stack === 'string';
            return hasStack ? error.stack : `Uncaught ${show(error)}`;
        },
    };
}

Error.stackTraceLimit = 0;  // the host's errors show nothing of the launcher and of node

const parked = process.env.SANDBOXD_PARK === '1' ? require('./javascript-parked.js') : undefined;
let endQuickly;  // in a parked one, and once it has a job
let isWarm = true;  // and so shows what the script writes

const [, launcher, filename] = process.argv;
const context = vm.createContext(Object.create(null));
const inside = vm.runInContext(`'use strict'; (${setUp})`, context, { filename: 'console' })(
    (fd, text) => fs.writeFileSync(fd, isWarm ? text : ''), `console\n${launcher}`);

function fail(error) {
    let text = 'Uncaught error';

    try {
        text = `${inside.describe(error)}`;
    } catch {}
    fs.writeFileSync(2, `${text}\n`);
    process.exit(1);
}

function attempt(give) {
    try {
        const text = give();
        return Buffer.from(typeof text === 'string' ? text : '');
    } catch {
        return Buffer.alloc(0);
    }
}

function report() {
    if (!inside.hasValue())
        return;

    let text = attempt(inside.text);
    let json = attempt(inside.json);
    if (text.length + json.length > RETURN_MAX)
        json = Buffer.alloc(0);
    if (text.length > RETURN_MAX)
        text = Buffer.from(text.toString('utf8', 0, RETURN_MAX - 6).replace(/\ufffd$/, '') + '…');
    try {
        fs.writeFileSync(RETURN_FILE,
            Buffer.concat([Buffer.from(`${text.length} ${json.length}\n`), text, json]),
            { flag: fs.constants.O_WRONLY | fs.constants.O_TRUNC });
    } catch {}
}

function compile(source, filename) {
    return new vm.Script(source, {
        filename,
        importModuleDynamically(name) {
            throw inside.importError(name);
        },
    });
}

// In the script's own context, where it leaves nothing.
function warmUp() {
    isWarm = false;
    for (const source of [parked.EXAMPLE, parked.BARE_EXAMPLE, '1']) {
        inside.keep(compile(source, filename).runInContext(context));
        attempt(inside.text);
        attempt(inside.json);
    }
    try {
        compile('null.x', filename).runInContext(context);
    } catch (error) {
        inside.describe(error);
    }
    attempt(inside.settle);
    process._tickCallback();
    inside.keep(undefined);
    isWarm = true;
}

process.on('unhandledRejection', fail);
process.on('uncaughtException', fail);
process.once('beforeExit', () => attempt(inside.settle));
process.once('exit', function end(code) {
    if (code === 0)
        report();
    if (code === 0 && endQuickly)
        endQuickly();
});
if (parked && parked.park(warmUp))
    endQuickly = parked.endQuickly;

let script;
try {
    script = compile(fs.readFileSync(filename, 'utf8'), filename);
} catch (error) {
    // The host's error. Its stack is the line and the place of the mistake, and the message.
    fs.writeFileSync(2, `${error.stack}\n`);
    process.exit(1);
}
try {
    inside.keep(script.runInContext(context));
} catch (error) {
    fail(error);
}
