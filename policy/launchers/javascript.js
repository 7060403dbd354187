// SPDX-License-Identifier: Apache-2.0
//
// Preloaded as "node -r javascript.js /box/main.js ARG...": node runs main.js as it does any
// script, and this file adds two things. The completion value of a CommonJS main.js is reported in
// the return file, and stdout and stderr block, so that process.exit() loses no output.
//
// It is the payload's first code, so it has no privilege and guards nothing. It has to be unseen:
// no name in the globals, no frame below the script's.

'use strict';

const Module = require('module');
const fs = require('fs');
const path = require('path');
const vm = require('vm');

const RETURN_FILE = path.join(path.dirname(__dirname), 'return');
const RETURN_MAX = 1 << 20;
const SCOPE = '__sandbox_scope__';  // a global for as long as the script's first line takes
const NODE_NAMES = ['exports', 'require', 'module', '__filename', '__dirname'];
const COMMENT = /\/\/.*|\/\*(?:[^*]|\*(?!\/))*\*\//.source;
const USE_STRICT =
    RegExp(`^(?:\\s|${COMMENT})*(['"])use strict\\1[ \\t]*(?:;|\\/\\/|[\\r\\n]|$)`);
const USE_MAIN_LOADER = vm.constants && vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;

const DETECTS_MODULES = process.features.require_module;  // node 20.19 and later
const MODULE_SYNTAX =
    /^Cannot use (?:import statement|'import\.meta') outside a module|^Unexpected token 'export'/;

const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf } = Object;
const promiseThen = Promise.prototype.then;

function hide() {
    delete require.cache[__filename];
    for (const key of Object.keys(Module._pathCache))
        if (key.includes(__filename))
            delete Module._pathCache[key];
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
    new vm.Script("import('')", { importModuleDynamically: USE_MAIN_LOADER })
        .runInThisContext().catch(() => {});
    process.emitWarning = emitWarning;
}

// The names of functions, as far as they are not those of globals too. As variables of a block
// around the script's they keep the script's functions from becoming properties of the globals.
function functionNames(source) {
    const names = new Set();

    for (const [, name] of source.matchAll(/\bfunction\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)/gu))
        if (!(name in globalThis) && !NODE_NAMES.includes(name))
            names.add(name);
    return [...NODE_NAMES, ...names];
}

// Compiles the source as a script, for only scripts have a completion value. In a block its let,
// const and class are as local and as fast as in node's function. Returns null when it has to be
// node's function: for a top-level return, await or import, for what does not compile at all, and
// for names that a script cannot have as its own.
function compile(source, filename) {
    const options = { filename, importModuleDynamically: USE_MAIN_LOADER };

    source = source.replace(/^#!/, '//');
    if (/\bvar\b[^;]*\bcrypto\b/.test(source))  // a global without a setter
        return null;
    if (!USE_MAIN_LOADER && /\bimport\b/.test(source))
        return null;
    try {
        new vm.Script(source, options);  // one that closes our block does not compile alone
        return new vm.Script(
            `${USE_STRICT.test(source) ? "'use strict'; " : ''}{ ` +
            `let { ${functionNames(source).join()} } = ${SCOPE}; {\n${source}\n}}`,
            { ...options, lineOffset: -1 });
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
        (type === 'undefined' && Array.isArray(this)))
        throw new TypeError();
    if (type === 'object' && value !== null && !Array.isArray(value) &&
        Object.keys(value).length === 0 &&
        getPrototypeOf(value) !== null && getPrototypeOf(value) !== Object.prototype)
        throw new TypeError();
    return value;
}

function toJson(value) {
    try {
        const json = JSON.stringify(value);
        if (json === undefined || json.length > RETURN_MAX)
            return '';
        JSON.stringify(value, checkJson);
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
        let text = Buffer.from(require('util').inspect(value));
        let json = Buffer.from(toJson(value));

        if (text.length + json.length > RETURN_MAX)
            json = Buffer.alloc(0);
        if (text.length > RETURN_MAX)
            text = cut(text);
        fs.writeFileSync(RETURN_FILE,
            Buffer.concat([Buffer.from(`${text.length} ${json.length}\n`), text, json]),
            { flag: fs.constants.O_WRONLY | fs.constants.O_TRUNC });
    } catch {}
}

// When the main script is done: its value is what it is when the event loop is done too, and that
// of a promise what it has resolved to by then.
function reportAtExit(value) {
    const { inspect, types } = require('util');
    let result = value;
    const keep = resolved => { result = resolved; };

    if (value === undefined || value === 'use strict')
        return;
    if (types.isPromise(value)) {
        result = undefined;
        process.once('beforeExit', () => {
            try {
                // A rejected one stays as unhandled as it is.
                if (!/^Promise \{\s+<rejected>/.test(inspect(value)))
                    Reflect.apply(promiseThen, value, [keep, () => {}]);
            } catch {}
        });
    }
    process.once('exit', code => {
        if (code === 0 && result !== undefined)
            report(result);
    });
}

// Gives a function to call in place of module._compile(). It is Object.defineProperty(): in reading
// "value" off its descriptor it runs the script, and it keeps the completion value.
function makeRunner(module, compileModule) {
    const filename = module.filename;
    const scope = compileModule.call(module,
        `return { __proto__: null, ${NODE_NAMES}, load: url => import(url) }`, filename);
    const { load } = scope;
    const source = fs.readFileSync(filename, 'utf8');
    const script = compile(source, filename);

    if (!script && !DETECTS_MODULES && hasModuleSyntax(source))
        return () => importAsModule(filename, load);
    if (!script)
        return compileModule;
    if (USE_MAIN_LOADER && /\bimport\b/.test(source))
        useUpWarning();

    const run = script.runInThisContext.bind(script, { displayErrors: false });
    const result = { value: undefined };

    delete scope.load;
    defineProperty(globalThis, SCOPE, {
        configurable: true,
        get() {
            delete globalThis[SCOPE];
            return scope;
        },
    });
    process.nextTick(() => reportAtExit(result.value));
    return defineProperty.bind(null, result, 'value', defineProperty({}, 'value', { get: run }));
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
            return makeRunner(this, native.value);
        },
    });
}

hide();
// A Worker preloads what its parent did. Its abort() is disabled; worker_threads would say that it
// is one too, but takes 1.5 ms to load.
if (!process.abort.disabled) {
    blockOnFirstUse('stdout');
    blockOnFirstUse('stderr');
    hookMain();
}
