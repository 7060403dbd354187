// SPDX-License-Identifier: Apache-2.0
//
// What a parked node runs before it waits, so that it has run a script before. Neither its value nor anything
// else of it stays.

'use strict';

const example = () => {};

example();
