// SPDX-License-Identifier: Apache-2.0
// A contender of the benchmark: for each line of stdin one call of node:vm in a new context, and how many
// microseconds it took.
'use strict';

const readline = require('node:readline');
const vm = require('node:vm');

const lines = [];
const sandbox = () => ({ console: { log: (...args) => lines.push(args.join(' ')) } });

readline.createInterface({ input: process.stdin }).on('line', () => {
    lines.length = 0;
    const begin = process.hrtime.bigint();
    vm.runInNewContext('console.log(42)', sandbox());
    const usec = (process.hrtime.bigint() - begin) / 1000n;
    process.stdout.write(lines[0] === '42' ? `${usec}\n` : `it printed '${lines}'\n`);
});
