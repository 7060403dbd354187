// SPDX-License-Identifier: Apache-2.0
//
// Preloaded as "node -r javascript.js /box/main.js ARG...": node runs main.js as it does any
// script, and this file adds two things. The completion value of a CommonJS main.js is reported in
// the return file, and stdout and stderr block, so that process.exit() loses no output. What is done
// in a parked node alone is in javascript-parked.js.
//
// It is the payload's first code, so it has no privilege and guards nothing. It has to be unseen:
// no name in the globals, no frame below the script's. The script may change all that it can reach,
// so what is needed once it has run is taken before.
//
// Where main.js differs from a module of node's: as in every script, its top-level var become
// properties of globalThis, which is also its top-level this. They replace nothing of node's: a
// main.js with a var of such a name runs in node's function, without a value.

'use strict';

const Module = require('module');
const fs = require('fs');
const path = require('path');
const vm = require('vm');
const { inspect, types: { isPromise } } = require('util');

const { Buffer, process } = globalThis;
const { isArray } = Array;
const { stringify } = JSON;
const { isFinite } = Number;
const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, keys } = Object;
const { apply } = Reflect;
const { openSync, readFileSync, writeSync } = fs;
const objectPrototype = Object.prototype;
const promiseThen = Promise.prototype.then;
let listen = process.addListener.bind(process);

const RETURN_FILE = path.join(path.dirname(__dirname), 'return');
const RETURN_FLAGS = fs.constants.O_WRONLY | fs.constants.O_TRUNC;
const RETURN_MAX = (1 << 20) - 64;  // of a file of 1 MiB, what is left to all but its first line
const SCOPE = '__sandbox_scope__';  // a global for as long as the script's first line takes
const NODE_NAMES = ['exports', 'require', 'module', '__filename', '__dirname'];
const ASCII_IDENTIFIER = /^[A-Za-z$_][\w$]*$/;
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;  // takes 0.5 ms when first used
const RESERVED = (
    'break case catch class const continue debugger default delete do else enum export extends ' +
    'false finally for function if import in instanceof new null return super switch this throw ' +
    'true try typeof var void while with').split(' ');
const FUNCTION = /\bfunction\s+([\w$\x80-\uffff]+)/g;
const DEFINITION = /\bfunction\s+([\w$\x80-\uffff]+)\s*\(/g;
const USE_MAIN_LOADER = vm.constants && vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;

const DETECTS_MODULES = process.features.require_module;  // node 20.19 and later
const MODULE_SYNTAX =
    /^Cannot use (?:import statement|'import\.meta') outside a module|^Unexpected token 'export'/;

const parked = process.env.SANDBOXD_PARK === '1' ? require('./javascript-parked.js') : undefined;
let endQuickly;  // in a parked one, and once it has a job

function forget() {
    for (const file of Object.keys(require.cache))
        if (path.dirname(file) === __dirname)
            delete require.cache[file];
    for (const cache of [Module._pathCache, Module._cache])
        for (const key of Object.keys(cache))
            if (key.includes(__dirname))
                delete cache[key];
}

function hide() {
    forget();
    defineProperty(process, '_preload_modules', {
        ...getOwnPropertyDescriptor(process, '_preload_modules'),
        value: process._preload_modules.filter(name => name !== __filename),
    });
    process.execArgv.splice(process.execArgv.indexOf('-r'), 2);
}

// Makes the stream blocking when it is first used: most of the cost of a stream is its making.
function blockOnFirstUse(name) {
    const native = getOwnPropertyDescriptor(process, name);

    defineProperty(process, name, {
        ...native,
        get() {
            defineProperty(process, name, native);
            const handle = process[name]._handle;
            if (handle && handle.setBlocking)
                handle.setBlocking(true);
            return process[name];
        },
    });
}

// The first import() of a script that was given the main loader warns that this is experimental.
function useUpWarning() {
    const { emitWarning } = process;

    process.emitWarning = () => {};
    try {
        new vm.Script("import('')", { importModuleDynamically: USE_MAIN_LOADER })
            .runInThisContext().catch(() => {});
    } finally {
        process.emitWarning = emitWarning;
    }
}

function compiles(source) {
    try {
        return Boolean(new vm.Script(source));
    } catch {
        return false;
    }
}

function candidates(source) {
    const names = new Set();

    for (const [, name] of source.matchAll(FUNCTION))
        names.add(name);
    for (const name of Object.getOwnPropertyNames(globalThis))
        if (source.includes(name))
            names.add(name);
    return [...names].filter(name =>
        (ASCII_IDENTIFIER.test(name) || IDENTIFIER.test(name)) && !RESERVED.includes(name));
}

// The names of the top-level functions, or null where a var would replace a global. The source is
// compiled as what follows a return: none of it runs, and yet its functions are there, and its var
// are undefined. So are the functions of its blocks, which to JavaScript are such too.
function findFunctions(source) {
    const names = candidates(source);
    const absent = {};
    // No parameters of compileFunction() itself: node crashes on names with surrogates in them.
    const getters = vm.compileFunction(
        `return (${names}) => (function () { return [${names.map(name => `() => ${name}`)}];\n` +
        `${source}\n})()`)()(...names.map(() => absent));
    const functions = [];

    for (const [i, name] of names.entries()) {
        try {
            const value = getters[i]();
            if (value === undefined && name in globalThis)
                return null;
            if (value !== undefined && value !== absent)
                functions.push(name);
        } catch {
            // A let, const or class.
        }
    }
    // In sloppy code a block that defines one anew changes the outer one in node, and not here.
    const seen = new Map();

    if (!isStrict(source))
        for (const [, name] of source.matchAll(DEFINITION))
            seen.set(name, (seen.get(name) || 0) + 1);
    return functions.some(name => seen.get(name) > 1) ? null : functions;
}

// For a source that compiles. No with statement does in strict code.
function isStrict(source) {
    return source.includes('use strict') && !compiles(`${source}\n; with ({});`);
}

// Compiles the source as a script, for only scripts have a completion value. In a block its let,
// const and class are as local and as fast as in node's function, and so are functions whose names
// are variables of a block around it. Returns null when it has to be node's function: for a
// top-level return, await or import, for what does not compile at all, and for names that a script
// cannot have as its own.
function compile(source, filename) {
    source = source.replace(/^#!/, '//');
    if (!USE_MAIN_LOADER && /\bimport\b/.test(source))
        return null;
    if (!compiles(source))  // one that closes our block does not compile alone
        return null;
    try {
        const functions = /\b(?:var|function)\b/.test(source) ? findFunctions(source) : [];
        return functions && new vm.Script(
            `${isStrict(source) ? "'use strict'; " : ''}{ ` +
            `let { ${[...NODE_NAMES, ...functions]} } = ${SCOPE}; {\n${source}\n}}`,
            { filename, importModuleDynamically: USE_MAIN_LOADER, lineOffset: -1 });
    } catch {
        return null;
    }
}

// The functions below do for Debian's node what later ones do themselves: a main.js with import,
// export or a top-level await is a module, whatever its package.json says or does not say.
function hasModuleSyntax(source) {
    try {
        vm.compileFunction(source);
        return false;
    } catch (error) {
        return MODULE_SYNTAX.test(error.message) || isAwaiting(source);
    }
}

// Whether nothing is wrong with the source but an await outside of functions.
function isAwaiting(source) {
    try {
        return Boolean(vm.compileFunction(`async () => {\n${source}\n}`));
    } catch {
        return false;
    }
}

function importAsModule(filename, load) {
    const main = require('url').pathToFileURL(filename).href;
    const hook = `export const load = (url, context, next) => next(url,
        url === ${JSON.stringify(main)} ? { ...context, format: 'module' } : context);`;

    Module.register('data:text/javascript,' + encodeURIComponent(hook));
    load(main);
}

// Whether JSON says all of the value. A Map has no keys that JSON sees, NaN becomes null.
function checkJson(key, value) {
    const type = typeof value;

    if (type === 'function' || type === 'symbol' || (type === 'number' && !isFinite(value)) ||
        (type === 'undefined' && isArray(this)))
        throw null;
    if (type === 'object' && value !== null && !isArray(value) &&
        keys(value).length === 0 &&
        getPrototypeOf(value) !== null && getPrototypeOf(value) !== objectPrototype)
        throw null;
    return value;
}

function toJson(value) {
    try {
        const json = stringify(value);
        if (json === undefined || json.length > RETURN_MAX)
            return '';
        stringify(value, checkJson);
        return json;
    } catch {
        return '';
    }
}

function cut(text) {
    return Buffer.from(text.toString('utf8', 0, RETURN_MAX - 6).replace(/\ufffd$/, '') + '…');
}

// This runs the user's code (inspect and toJSON do), and nothing it does may fail the job.
function report(value) {
    try {
        let text = Buffer.from(inspect(value));
        let json = Buffer.from(toJson(value));

        if (text.length + json.length > RETURN_MAX)
            json = Buffer.alloc(0);
        if (text.length > RETURN_MAX)
            text = cut(text);
        const data = Buffer.concat([Buffer.from(`${text.length} ${json.length}\n`), text, json]);
        const fd = openSync(RETURN_FILE, RETURN_FLAGS);
        for (let written = 0; written < data.length;)
            written += writeSync(fd, data, written);
    } catch {}
}

// When the main script is done: its value is what it is when the event loop is done too, and that
// of a promise what it has resolved to by then.
function reportAtExit(value) {
    let result = value === 'use strict' ? undefined : value;
    let waits = false;
    const settle = () => {
        try {
            // A rejected one stays as unhandled as it is.
            if (waits && !/^Promise \{\s+<rejected>/.test(inspect(value)))
                apply(promiseThen, value, [resolved => { result = resolved; }, () => {}]);
        } catch {}
        waits = false;
    };

    if (result === undefined && !endQuickly)
        return;
    try {
        if (isPromise(value)) {
            result = undefined;
            waits = true;
            listen('beforeExit', settle);
        }
        listen('exit', function end(code) {
            if (code === 0 && result !== undefined)
                report(result);
            if (code === 0 && endQuickly)
                endQuickly(end);
        });
    } catch {}
}

// Gives the native function below script.runInThisContext(), bound to the arguments that vm calls
// it with: node aborts on others, and they differ between its versions. Stack traces show the frame
// of vm, but none for a native function. It is nothing that node documents: where vm does not call
// it in this way, the script stops at SCOPE, which is not there yet, and undefined is returned.
function bindNativeRun(script) {
    const prototype = getPrototypeOf(vm.Script.prototype);
    const native = getOwnPropertyDescriptor(prototype, 'runInContext');
    let run;

    if (!native)
        return undefined;
    try {
        prototype.runInContext = (...args) => { run = native.value.bind(script, ...args); };
        script.runInThisContext({ displayErrors: false });
    } catch {
    } finally {
        defineProperty(prototype, 'runInContext', native);
    }
    return run;
}

// The same with a frame of vm's in the script's stack traces. Throws where not even that works.
function bindRun(script) {
    vm.runInThisContext('');
    return () => script.runInThisContext({ displayErrors: false });
}

// Until the script's first line takes it.
function offer(scope) {
    defineProperty(globalThis, SCOPE, {
        configurable: true,
        get() {
            delete globalThis[SCOPE];
            return scope;
        },
    });
}

// Gives a function to call in place of module._compile(). It is Reflect.apply(): in reading what to
// call reportAtExit() with it runs the script, and it too has no frame in a stack trace.
function makeRunner(module, compileModule) {
    const filename = module.filename;
    const scope = compileModule.call(module,
        `return { __proto__: null, ${NODE_NAMES}, load: url => import(url) }`, filename);
    const { load } = scope;
    const source = readFileSync(filename, 'utf8');
    const script = compile(source, filename);

    if (!script && !DETECTS_MODULES && hasModuleSyntax(source))
        return () => importAsModule(filename, load);
    if (!script)
        return compileModule;
    if (USE_MAIN_LOADER && /\bimport\b/.test(source))
        useUpWarning();

    const run = bindNativeRun(script) ?? bindRun(script);
    delete scope.load;
    offer(scope);
    return apply.bind(null, reportAtExit, null, defineProperty({ length: 1 }, 0, { get: run }));
}

// Waits for node to compile the main module, and is gone by the time that its code runs.
function hookMain() {
    const native = getOwnPropertyDescriptor(Module.prototype, '_compile');

    defineProperty(Module.prototype, '_compile', {
        configurable: true,
        enumerable: native.enumerable,
        get() {
            if (this.id !== '.')
                return native.value;
            defineProperty(Module.prototype, '_compile', native);
            try {
                return makeRunner(this, native.value);
            } catch {
                return native.value;
            }
        },
    });
}

function warmUp() {
    const scope = { __proto__: null, exports: {}, require, module, __filename, __dirname };

    parked.warmUpLoop();
    parked.warmUpInspect();
    parked.warmUpConsole();
    for (const source of [parked.EXAMPLE, 'console', 'function f() { return 1 } f()']) {
        const script = compile(source, __filename);
        const run = bindNativeRun(script) ?? bindRun(script);
        offer(scope);
        inspect(run());
    }
    toJson({ a: [1] });
    rehearse();
}

// Has node run a script from the first to the last, as main.js later, and forgets it.
function rehearse() {
    const native = listen;

    listen = (event, listener) => { if (event === 'exit') listener(0); };
    endQuickly = () => {};
    hookMain();
    try {
        Module.runMain(path.join(__dirname, 'javascript-example.js'));
    } finally {
        delete process.mainModule;
        listen = native;
        forget();
    }
}

hide();
// A Worker preloads what its parent did. Its abort() is disabled; worker_threads would say that it
// is one too, but takes 1.5 ms to load.
if (!process.abort.disabled) {
    if (parked && parked.park(warmUp)) {
        endQuickly = parked.endQuickly;
    } else {
        blockOnFirstUse('stdout');
        blockOnFirstUse('stderr');
    }
    hookMain();
}
