// site_agent/launcher/loader_trace.h
// SPDX-License-Identifier: Apache-2.0
//
// Shared libraries of a program as the dynamic loader resolves them: what ldd(1) prints, without the shell.
//
// Thread-safety: forks; call before the process has threads.
#pragma once

#include <string_view>
#include <vector>

#include "common/file_system.h"

namespace hemafed {

// Absolute paths of all libraries, direct and indirect, in the loader's order; none for a static program.
// Throws Error(kNotFound) when `program` or a library is missing, Error(kUnavailable) when it cannot be started.
[[nodiscard]] std::vector<Path> TraceLoadedObjects(const Path& program);

// The loader's listing: "\tlibz.so.1 => /lib/libz.so.1 (0x00007f...)". Throws Error(kNotFound) on "=> not found".
[[nodiscard]] std::vector<Path> ParseLoaderTrace(std::string_view listing, const Path& program);

}  // namespace hemafed
