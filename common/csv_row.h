// common/csv_row.h
// SPDX-License-Identifier: Apache-2.0
//
// Rows of comma-separated tables (RFC 4180, lines end in LF). learning/data/csv.h reads them back.
//
// Thread-safety: free function without state.
#pragma once

#include <string>
#include <vector>

namespace hemafed {

// One row with its line end; fields are quoted where they must be.
[[nodiscard]] std::string FormatCsvRow(const std::vector<std::string>& fields);

}  // namespace hemafed
