// protocol/report/report_tables.h
// SPDX-License-Identifier: Apache-2.0
//
// The tables of the consortium's report (docs/report.md). Used by protocol/report/ only.
//
// Thread-safety: free functions.
#pragma once

#include "common/report/table.h"
#include "protocol/report/report_figures.h"

namespace hemafed {

// Title of a task's row: "2: jena".
[[nodiscard]] std::string TaskTitle(const Plan& plan, std::uint32_t task);

// a[t][j], and the figures taken from it.
[[nodiscard]] report::Table MatrixTable(const FederationState& state);
[[nodiscard]] report::Table SummaryTable(const FederationState& state);
[[nodiscard]] report::Table CurveTable(const FederationState& state);
// After each task that is closed, every column of the matrix: pictures, accuracy with interval, means over classes.
[[nodiscard]] report::Table ColumnTable(const Plan& plan, const FederationHistory& history);
// The same class by class.
[[nodiscard]] report::Table ClassTable(const Plan& plan, const FederationHistory& history);
// The classes of one column, for people.
[[nodiscard]] report::Table ClassTable(const Plan& plan, const ColumnFigures& figures);

// Every ROC curve after the last closed task, point by point: for other programs, too long for people.
[[nodiscard]] report::Table RocTable(const Plan& plan, const FederationHistory& history);

// Of a plan that trains an autoencoder: each hospital's loss and alignment term, round by round. Empty for others.
[[nodiscard]] report::Table LossTable(const Plan& plan, const FederationHistory& history);

// Of plans with [drift]: each hospital beside those before it. Empty for others.
[[nodiscard]] report::Table DriftTable(const FederationHistory& history);

[[nodiscard]] report::Table RoundTable(const Plan& plan, const FederationHistory& history);
[[nodiscard]] report::Table UpdateTable(const Plan& plan, const FederationHistory& history);
[[nodiscard]] report::Table SumsTable(const Plan& plan, const FederationHistory& history);
[[nodiscard]] report::Table GateTable(const Plan& plan, const FederationHistory& history);
[[nodiscard]] report::Table RefusalTable(const Plan& plan, const FederationHistory& history);
[[nodiscard]] report::Table StandstillTable(const Plan& plan, const FederationHistory& history);
[[nodiscard]] report::Table MissedTable(const Plan& plan, const FederationHistory& history);
[[nodiscard]] report::Table TrafficTable(const Plan& plan, const FederationHistory& history);

}  // namespace hemafed
