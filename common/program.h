// common/program.h
// SPDX-License-Identifier: Apache-2.0
//
// What every main() of ours does around its work: errors become one line on standard error and a documented exit
// status.
#pragma once

#include <functional>
#include <string_view>

namespace hemafed {

inline constexpr std::string_view kVersion = "HemaFed 0.1.0";

// The exit statuses, for --help pages. docs/codes/README.md says what to do about each.
inline constexpr std::string_view kExitCodeHelp =
    "Exit status: 0 done; 11 bad input; 12 not found; 13 conflict; 14 unavailable, try again; 15 refused;\n"
    "16 damaged data; 17 disk or limit full; 18 interrupted; 19 defect. docs/codes/ has a page for each.";

// Runs `work` and returns its result, or prints "<program>: <message>" and returns the error's exit status.
int RunProgram(std::string_view program, const std::function<int()>& work);

}  // namespace hemafed
