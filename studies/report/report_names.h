// studies/report/report_names.h
// SPDX-License-Identifier: Apache-2.0
//
// Tables, charts and pages (common/report/) are most of what studies write, so they use these names as their own. A
// plan has columns too (codec/plan.h): here the word means a table's.
#pragma once

#include "common/report/table.h"

namespace hemafed::studies {

using namespace report;
using report::Column;

}  // namespace hemafed::studies
