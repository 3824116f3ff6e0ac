// SPDX-License-Identifier: Apache-2.0
// The target that owns the precompiled header needs one source; it defines nothing.
